using System.Runtime.InteropServices;
using TreCr.Calls.Records;

namespace TreCr.Delegator;

/// <summary>The call that a thread of the delegator is running. One per thread, reused.</summary>
internal sealed unsafe class CallState
{
    [ThreadStatic] private static CallState? t_current;

    private readonly List<nint> _scratch = [];

    /// <summary>Of the calling thread.</summary>
    public static CallState Current => t_current ??= new CallState();

    public int Channel { get; set; }
    public uint Generation { get; set; }

    /// <summary>Virtual handle of the record's context; 0: none.</summary>
    public ulong Context { get; set; }

    /// <summary>Device of that context.</summary>
    public int Ordinal { get; set; }

    /// <summary>The back end's context that is current on this thread, and the session it belongs to: no call needed when it stays.</summary>
    public ulong RealContext { get; set; }
    public Session? ContextSession { get; set; }

    /// <summary>Bytes fetched from the program during the call, for the log.</summary>
    public List<(int Argument, nint Bytes, nuint Length)> Fetched { get; } = [];

    /// <summary>Addresses that the back end allocated for itself during the call.</summary>
    public ulong[] InternalAddresses { get; set; } = [];

    /// <summary>Memory that lives until <see cref="End"/>; a multiple of 64.</summary>
    /// <returns>null: there is not so much</returns>
    public byte* Rent(nuint bytes)
    {
        // Pinned buffers of 2^48 bytes are what hostile lengths look like: nothing beyond 4 GiB is a real call.
        if (bytes > 4UL << 30) return null;
        try
        {
            void* memory = NativeMemory.AlignedAlloc(Math.Max(bytes, 8), 64);
            _scratch.Add((nint)memory);
            return (byte*)memory;
        }
        catch (OutOfMemoryException) { return null; }
    }

    /// <summary>The call is over.</summary>
    public void End()
    {
        if (_scratch.Count == 0 && Fetched.Count == 0) return;
        foreach (nint memory in _scratch) NativeMemory.AlignedFree((void*)memory);
        _scratch.Clear();
        Fetched.Clear();
        InternalAddresses = [];
    }
}
