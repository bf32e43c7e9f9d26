using System.Runtime.InteropServices;

namespace TreCr.SoftDevice.Sharing;

/// <summary>
/// What stands in the file of a token (<see cref="TokenFile"/>): where the memory is that a process exports, or the state of an event. Memory: written by its owner before <see cref="IsReady"/>, read by all. Event: records
/// have numbers from 1; who issues one takes the next, and tells of it in the place of that number.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
unsafe struct TokenPage
{
    public const int Bytes = 4096, Places = 64, NameBytes = 128;
    public const ulong ThisMagic = 0x31_52_41_48_53_52_43_54; // "TCRSHAR1"
    public const uint Memory = 1, Event = 2;

    [FieldOffset(0)] public ulong Magic;
    [FieldOffset(8)] public uint Kind;
    [FieldOffset(12)] public uint IsReady;

    /// <summary>The owner's process and its start; 0: none has come yet.</summary>
    [FieldOffset(16)] public int Pid;
    [FieldOffset(24)] public ulong Start;

    /// <summary>Descriptor of the owner's StatusPage.</summary>
    [FieldOffset(32)] public int StatusFd;

    /// <summary>In the owner's addresses.</summary>
    [FieldOffset(40)] public ulong BlockStart;
    [FieldOffset(48)] public ulong BlockBytes;
    [FieldOffset(56)] public ulong Offset;
    [FieldOffset(64)] public ulong Length;

    /// <summary>Start of a hash of the job's name.</summary>
    [FieldOffset(72)] public ulong Job;

    /// <summary>The owner's program, UTF-8, ended by 0.</summary>
    [FieldOffset(128)] public fixed byte Name[NameBytes];

    /// <summary>Number of the last record of an event.</summary>
    [FieldOffset(256)] public ulong Issued;

    /// <summary>By number modulo <see cref="Places"/>: the number's low half, and in the high half the process that issued it, 0 once it was reached.</summary>
    [FieldOffset(512)] public fixed ulong Records[Places];
}
