using TreCr.Calls.Cuda;
using TreCr.Ring;

namespace TreCr.Wrapper.Runtime;

/// <summary>Functions that the library exports and TreCr does not implement: they say so, once each, and fail; <c>trecr status</c> shows their names. Never a silent success.</summary>
public static class Unsupported
{
    /// <summary>Most functions that can be told apart.</summary>
    public const int Most = 1024;

    private static readonly int[] Told = new int[Most];

    /// <summary>Names the function on stderr the first time.</summary>
    /// <param name="index">number of the function, 0 .. Most-1</param>
    public static CUresult Answer(int index, ReadOnlySpan<byte> name)
    {
        // Before cuInit the driver answers 3 from any function; a program that only tries names must not be scared.
        if (SharedState.State is SessionState.None) return CUresult.CUDA_ERROR_NOT_INITIALIZED;
        if (SharedState.State is SessionState.Ended) return CUresult.CUDA_ERROR_DEINITIALIZED;
        if (Interlocked.Exchange(ref Told[index], 1) == 0) Tell(name, default);
        return CUresult.CUDA_ERROR_NOT_SUPPORTED;
    }

    /// <summary>The same for a use of an implemented function that is not supported.</summary>
    /// <param name="once">a word of the caller's, 0 before the first time</param>
    public static CUresult Use(ref int once, ReadOnlySpan<byte> name, ReadOnlySpan<byte> what)
    {
        if (Interlocked.Exchange(ref once, 1) == 0) Tell(name, what);
        return CUresult.CUDA_ERROR_NOT_SUPPORTED;
    }

    private static void Tell(ReadOnlySpan<byte> name, ReadOnlySpan<byte> what)
    {
        Span<byte> line = stackalloc byte[256];
        int length = 0;
        Append(line, ref length, "trecr: "u8);
        int start = length;
        Append(line, ref length, name);
        if (what.Length != 0) Append(line, ref length, " "u8);
        Append(line, ref length, what);
        if (SharedState.State == SessionState.Running && ProgramSession.Segment is { } segment) NotSupportedNames.Add(segment, line[start..length]);
        Append(line, ref length, " is not supported: CUDA_ERROR_NOT_SUPPORTED\n"u8);
        StandardError.Write(line[..length]);
    }

    private static void Append(Span<byte> line, ref int length, ReadOnlySpan<byte> text)
    {
        text = text[..Math.Min(text.Length, line.Length - length)];
        text.CopyTo(line[length..]);
        length += text.Length;
    }
}
