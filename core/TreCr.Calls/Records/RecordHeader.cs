using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TreCr.Calls.Records;

/// <summary>
/// One call, as it stands in a channel and in the log: this header, then <c>ulong Arguments[ArgumentCount]</c>, then the payload (bytes of
/// InBytes, In and InString parameters, each at a multiple of 8). Saved in snapshots: an on-disk format (calls.lock).
/// </summary>
/// <remarks>
/// An argument word holds the value of a scalar or handle (zero-extended), the address of a ProgramAddress, 0 or 1 for an Out pointer that is NULL or
/// not, and for byte parameters the offset of the bytes from the start of the record, or, where the bit of the argument is set in
/// <see cref="RemoteMask"/>, their address in the program. A NULL byte pointer is offset 0. For OutBytes without that bit it is 0 (NULL) or 1 (in the answer).
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = SizeBytes)]
public struct RecordHeader
{
    public const int SizeBytes = 48;

    /// <summary>Call number of a filler at the end of the ring: skip it.</summary>
    public const ushort PadCall = 0xffff;

    /// <summary>Flag: the caller waits for the answer slot.</summary>
    public const byte WantsAnswer = 1;

    /// <summary>Header, arguments and payload, rounded up to <see cref="Alignment"/>.</summary>
    [FieldOffset(0)] public uint RecordBytes;

    /// <summary>Id of <see cref="CallAttribute"/>.</summary>
    [FieldOffset(4)] public ushort Call;

    [FieldOffset(6)] public Library Library;
    [FieldOffset(7)] public byte Flags;

    /// <summary>Place in the order of issue, from the segment's one counter, taken just before publishing.</summary>
    [FieldOffset(8)] public ulong Ticket;

    /// <summary>Virtual handle of the caller's current context; 0: none.</summary>
    [FieldOffset(16)] public ulong Context;

    /// <summary>Counts the channel's waiting calls; the answer slot carries it back.</summary>
    [FieldOffset(24)] public uint Sequence;

    [FieldOffset(28)] public ushort ArgumentCount;

    /// <summary>Bit n: argument n is the program address of bytes that are not in the payload.</summary>
    [FieldOffset(32)] public uint RemoteMask;

    [FieldOffset(36)] public uint PayloadBytes;

    /// <summary>Records start at multiples of this, bytes.</summary>
    public const int Alignment = 16;

    /// <summary>Offset of argument word <paramref name="index"/> (and, with the argument count, of the payload) from the start of the record, bytes.</summary>
    public static int ArgumentOffset(int index) => SizeBytes + 8 * index;

    /// <summary>A length rounded up to whole records.</summary>
    public static int Round(int bytes) => (bytes + Alignment - 1) & -Alignment;

    /// <summary>Fills in all fields but the ticket and, for waiting calls, sequence and flags: memory of a ring is never clean.</summary>
    /// <param name="call">number of the call, library &lt;&lt; 16 added</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe void Write(byte* at, int recordBytes, uint call, ulong context, int argumentCount, uint remoteMask, int payloadBytes)
    {
        ulong* words = (ulong*)at;
        words[0] = (uint)recordBytes | (ulong)call << 32;
        words[2] = context;
        words[3] = (ulong)(uint)argumentCount << 32;
        words[4] = remoteMask | (ulong)(uint)payloadBytes << 32;
        words[5] = 0;
    }
}
