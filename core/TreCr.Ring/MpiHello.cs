using System.Runtime.InteropServices;

namespace TreCr.Ring;

/// <summary>
/// First message of a process that calls MPI_Init, on a connection of its own to its supervisor (TRECR_SESSION); descriptor 0 beside it: the MPI segment, a memfd that the
/// program made. The program waits for a <see cref="MpiWelcome"/> and closes the connection; the segment stays open in it, under <see cref="SegmentDescriptor"/>, and is saved with its memory.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct MpiHello
{
    /// <summary>Value of <see cref="Magic"/>: "TRECRMPI".</summary>
    public const ulong MagicValue = 0x49504d5243455254;

    /// <summary>Of this build; other versions are refused by name.</summary>
    public const uint Version = 1;

    public ulong Magic;
    public uint ProtocolVersion;

    /// <summary>Process id as the program sees it.</summary>
    public int Pid;

    /// <summary>Descriptor number of the segment in the program.</summary>
    public int SegmentDescriptor;

    private readonly uint _pad;
}

/// <summary>Answer to <see cref="MpiHello"/>; the text follows in the same datagram (UTF-8, at most <see cref="MaxTextBytes"/>).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MpiWelcome
{
    public const int MaxTextBytes = 4096;

    /// <summary>0: MPI runs. Else a TRECR-nnnn number, and the text says why not.</summary>
    public int Status;

    /// <summary>In MPI_COMM_WORLD.</summary>
    public int Rank;

    public int Size;
    private readonly uint _pad;
}
