using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>What a rank asks another to do with its window.</summary>
internal enum RemoteCallKind
{
    Put, Get, Accumulate,

    /// <summary>The bytes before are the answer.</summary>
    GetAccumulate,

    /// <summary>The payload is the new value and the one compared with; the answer is the value before.</summary>
    CompareAndSwap,

    /// <summary>Answered with an <see cref="ErrorClass"/> (4 bytes): of the calls since the last answer of this kind, all of which are carried out by then.</summary>
    Flush,

    /// <summary>Answered when it is held.</summary>
    LockShared, LockExclusive,

    /// <summary>Answered as <see cref="Flush"/>.</summary>
    Unlock,

    /// <summary>The window is exposed to the one who gets this (MPI_Win_post), and the other's calls are complete (MPI_Win_complete).</summary>
    Post, Complete,
}

/// <summary>Head of a message that is carried out where it arrives. The runs of the target's datatype follow as pairs of offset and length (bytes), then the payload, packed.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RemoteCall
{
    public RemoteCallKind Kind;
    public OpKind Op;
    public Element Element;

    /// <summary>Tag of the answer.</summary>
    public int Reply;

    /// <summary>In units of the target's window.</summary>
    public long Displacement;

    /// <summary>Items of the datatype, its extent (bytes), its runs.</summary>
    public long Count, Extent;
    public int Runs;

    public readonly long PayloadOffset => HeadBytes + 16L * Runs;

    public const int HeadBytes = 48;
}

/// <summary>Messages made and read.</summary>
internal static unsafe class RemoteMessage
{
    /// <summary>A message in native memory.</summary>
    /// <param name="payloadBytes">space behind the runs, which the caller fills</param>
    public static (nint Memory, long Bytes, nint Payload) Make(RemoteCall call, Datatype? type, long payloadBytes)
    {
        if (sizeof(RemoteCall) != RemoteCall.HeadBytes) throw new InvalidOperationException("the head of a call");
        (call.Runs, call.Extent, call.Element) = type is null ? (0, 0, Element.None) : (type.Runs.Length, type.Extent, type.Element);
        long bytes = call.PayloadOffset + payloadBytes;
        byte* memory = (byte*)NativeMemory.Alloc((nuint)bytes);
        *(RemoteCall*)memory = call;
        for (int i = 0; i < call.Runs; i++) (((long, long)*)(memory + RemoteCall.HeadBytes))[i] = type!.Runs[i];
        return ((nint)memory, bytes, (nint)(memory + call.PayloadOffset));
    }

    /// <summary>The datatype of a message: its layout and elements, nothing else of it.</summary>
    public static Datatype TypeOf(RemoteCall* call)
    {
        (long Offset, long Length)[] runs = new (long, long)[call->Runs];
        long low = long.MaxValue, high = long.MinValue, size = 0;
        for (int i = 0; i < runs.Length; i++)
        {
            runs[i] = (((long, long)*)((byte*)call + RemoteCall.HeadBytes))[i];
            (low, high, size) = (Math.Min(low, runs[i].Offset), Math.Max(high, runs[i].Offset + runs[i].Length), size + runs[i].Length);
        }
        if (runs.Length == 0) (low, high) = (0, 0);
        return new Datatype
        {
            SizeBytes = size, LowerBound = 0, UpperBound = call->Extent, TrueLowerBound = low, TrueUpperBound = high, Runs = runs, Element = call->Element, Alignment = 1, BasicSizes = [1], IsCommitted = true,
        };
    }
}
