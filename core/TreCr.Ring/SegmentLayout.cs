using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Ring;

/// <summary>
/// The memory shared by one program process and its delegator (a memfd, mapped by both; the program's mapping is MADV_DONTFORK).
/// </summary>
/// <remarks>
/// Layout: page 0 control words, never saved (<see cref="SegmentControl"/>); page 1.. <see cref="SegmentHeader"/>, saved; from
/// <see cref="ChannelsOffset"/> the channels, saved. Saved parts are on-disk format: <see cref="ProtocolVersion"/>.
/// Everything here may be written by the program at any time: the delegator copies a record to private memory before it checks it.
/// </remarks>
public static class SegmentLayout
{
    /// <summary>Version of this layout and of the call records.</summary>
    public const uint ProtocolVersion = 1;

    public const ulong Magic = 0x31_47_45_53_43_45_52_54; // "TRECSEG1"

    /// <summary>Threads of one process that can call at the same time.</summary>
    public const int MaxChannels = 512;

    public const int PageBytes = 4096;

    /// <summary>Start of the channels.</summary>
    public const int ChannelsOffset = 64 * 1024;

    /// <summary>Ring of one channel, bytes; a power of two.</summary>
    public const int RingBytes = 256 * 1024;

    /// <summary>Header page and ring.</summary>
    public const int ChannelBytes = PageBytes + RingBytes;

    /// <summary>Whole segment, bytes (sparse).</summary>
    public const long SegmentBytes = ChannelsOffset + (long)MaxChannels * ChannelBytes;

    /// <summary>Name of the segment's memfd; the process engine knows it by this.</summary>
    public const string SegmentName = "trecr-segment";

    /// <summary>Name of the pinned arena's memfd.</summary>
    public const string PinnedName = "trecr-pinned";

    /// <summary>First address of the device slots, part of the image format: slot n is at DeviceBase + n * DeviceSlotBytes.</summary>
    public const ulong DeviceBase = 0x7000_0000_0000;

    /// <summary>Addresses of one device ordinal, bytes: 1 TiB.</summary>
    public const ulong DeviceSlotBytes = 1UL << 40;

    /// <summary>Devices that have a slot.</summary>
    public const int MaxDevices = 8;

    /// <summary>Address of the pinned arena in both processes, part of the image format.</summary>
    public const ulong PinnedBase = 0x6f00_0000_0000;

    /// <summary>Length of the pinned arena's mapping, bytes (sparse): 64 GiB.</summary>
    public const ulong PinnedBytes = 64UL << 30;
}

/// <summary>Control words on page 0: never saved, set up anew by each delegator.</summary>
[StructLayout(LayoutKind.Explicit, Size = SegmentLayout.PageBytes)]
public struct SegmentControl
{
    /// <summary>Futex word: counts publications made while the delegator slept.</summary>
    [FieldOffset(0)] public uint Doorbell;

    /// <summary>1 while the delegator's dispatcher sleeps or is about to: ring the doorbell.</summary>
    [FieldOffset(64)] public uint DelegatorSleeps;

    /// <summary>1 once the delegator serves; 2: it has ended in order, calls answer CUDA_ERROR_DEINITIALIZED.</summary>
    [FieldOffset(128)] public uint DelegatorState;

    /// <summary>1 while the device has output that cuXxxSynchronize should fetch (trecrTakeDeviceOutput).</summary>
    [FieldOffset(192)] public uint DeviceOutputWaiting;
}

/// <summary>Saved facts of the session, at page 1.</summary>
[StructLayout(LayoutKind.Explicit, Size = SegmentLayout.ChannelsOffset - SegmentLayout.PageBytes)]
public struct SegmentHeader
{
    [FieldOffset(0)] public ulong Magic;
    [FieldOffset(8)] public uint ProtocolVersion;

    /// <summary>Descriptor number of the connection in the program; -1 before it is known.</summary>
    [FieldOffset(12)] public int ConnectionDescriptor;

    /// <summary>Channels 0 .. ChannelsUsed-1 have been claimed at least once: the delegator scans these.</summary>
    [FieldOffset(16)] public uint ChannelsUsed;

    [FieldOffset(20)] public uint DeviceCount;

    /// <summary>The one ticket counter; alone on its cache line.</summary>
    [FieldOffset(64)] public ulong NextTicket;

    // Host functions (cuLaunchHostFunc): one at a time is handed to the program's helper thread.

    /// <summary>Futex word: number of host functions handed over by the delegator.</summary>
    [FieldOffset(128)] public uint HostFunctionPosted;

    /// <summary>Futex word: number finished by the helper thread. Posted == Done: the slot is free.</summary>
    [FieldOffset(192)] public uint HostFunctionDone;

    /// <summary>Program addresses of the function and its argument.</summary>
    [FieldOffset(256)] public ulong HostFunctionAddress;

    [FieldOffset(264)] public ulong HostFunctionUserData;

    /// <summary>Kind of the call: 0 cuLaunchHostFunc void(void*), 1 cuStreamAddCallback void(stream, status, void*).</summary>
    [FieldOffset(272)] public ulong HostFunctionKind;

    [FieldOffset(280)] public ulong HostFunctionStream;

    /// <summary>Places claimed in the table of <see cref="NotSupportedNames"/>, which begins at <see cref="NotSupportedOffset"/>.</summary>
    [FieldOffset(320)] public uint NotSupportedCount;

    /// <summary>From the start of this header, bytes.</summary>
    public const int NotSupportedOffset = 16 * 1024;
}

/// <summary>Header page of a channel: one program thread's ring and answer slot.</summary>
/// <remarks>
/// Single producer (the owner thread), single consumer (the delegator). Head and Tail count bytes and never wrap; a record at position p lies at ring offset
/// p mod RingBytes, never across the end (a pad record fills up). The producer writes the record, then Head (release). The consumer moves Tail only
/// when the record is finished, so that after a capture everything unfinished stands between Tail and Head. Either side may die between any two stores.
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = SegmentLayout.PageBytes)]
public struct ChannelHeader
{
    /// <summary>Bytes published.</summary>
    [FieldOffset(0)] public ulong Head;

    /// <summary>Bytes finished.</summary>
    [FieldOffset(64)] public ulong Tail;

    /// <summary>Futex word: sequence of the last answered call; written last (release).</summary>
    [FieldOffset(128)] public uint AnswerSequence;

    /// <summary>CUresult (or the library's own code) of that call.</summary>
    [FieldOffset(132)] public int AnswerResult;

    [FieldOffset(136)] public uint AnswerLengthBytes;

    /// <summary>1 while the owner sleeps on AnswerSequence.</summary>
    [FieldOffset(192)] public uint OwnerSleeps;

    /// <summary>Thread id (as the program sees it) of the owner; 0 free. Claimed by compare-and-swap.</summary>
    [FieldOffset(256)] public uint OwnerTid;

    /// <summary>Sequence of the owner's last waiting call; kept here so that a new owner goes on counting.</summary>
    [FieldOffset(260)] public uint LastSequence;

    /// <summary>Counts owners; a per-thread default stream belongs to (channel, generation).</summary>
    [FieldOffset(264)] public uint Generation;

    /// <summary>Start of the answer area, RecordLimits.AnswerBytes long; layout: AnswerWriter.</summary>
    public const int AnswerOffset = 1024;
}

/// <summary>First message on the connection, program to supervisor.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SessionHello
{
    public ulong Magic;
    public uint ProtocolVersion;

    /// <summary>Process id as the program sees it.</summary>
    public int Pid;

    /// <summary>Descriptor number of the connection in the program.</summary>
    public int ConnectionDescriptor;

    private readonly uint _pad;
}

/// <summary>Answer of the delegator; descriptors beside it: 0 the segment, 1 the pinned arena.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SessionWelcome
{
    public ulong Magic;
    public uint ProtocolVersion;

    /// <summary>0, or a CUresult that cuInit shall return (100: no device).</summary>
    public int InitResult;

    public uint DeviceCount;
    private readonly uint _pad;
}
