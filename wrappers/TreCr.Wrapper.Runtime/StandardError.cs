using System.Text;
using TreCr.Linux;

namespace TreCr.Wrapper.Runtime;

/// <summary>Lines on descriptor 2, in one write each: no Console, which would start threads and change signal actions of the program.</summary>
public static unsafe class StandardError
{
    public static void Write(ReadOnlySpan<byte> line)
    {
        fixed (byte* p = line) Sys.Write(2, p, line.Length);
    }

    /// <summary>Prefix, text and a line feed.</summary>
    public static void Write(ReadOnlySpan<byte> prefix, string text)
    {
        byte[] line = new byte[prefix.Length + Encoding.UTF8.GetByteCount(text) + 1];
        prefix.CopyTo(line);
        Encoding.UTF8.GetBytes(text, line.AsSpan(prefix.Length));
        line[^1] = (byte)'\n';
        Write(line);
    }
}
