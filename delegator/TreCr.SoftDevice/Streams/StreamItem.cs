using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Streams;

enum ItemKind : byte { Kernel, Copy, Fill, HostFunction, RecordEvent, Wait, WaitValue, WriteValue, Collective, WaitShared }

/// <summary>One entry of a stream's queue. Recycled: a steady stream of work allocates nothing.</summary>
sealed class StreamItem
{
    public ItemKind Kind;
    public GridLaunch? Launch;
    public ulong Destination, Source, DestinationPitch, SourcePitch, WidthBytes, Height;
    public uint Value;
    public int ElementBytes;
    /// <summary>of <see cref="ItemKind.WaitValue"/> and WriteValue, at Destination, ElementBytes wide; Height says how values are compared. Of WaitShared and RecordEvent: number of the record of a shared event; 0: it is none</summary>
    public ulong Word;
    public unsafe delegate* unmanaged<void*, void> Function;
    public ulong UserData;
    public SoftEvent? Event;
    /// <summary>of <see cref="ItemKind.Collective"/>: who does it, and what it is to do</summary>
    public IStreamWorker? Worker;
    public object? Work;
    public SoftStream Stream = null!;
    /// <summary>workers that are in it</summary>
    public int Participants;
    public bool Started;
    /// <summary>what must be done first: (stream, items completed)</summary>
    public readonly List<(SoftStream Stream, long Count)> Dependencies = [];

    public string Describe() => Kind switch
    {
        ItemKind.Kernel => $"kernel {Launch!.Kernel.Name}", ItemKind.HostFunction => $"host function 0x{UserData:x}", ItemKind.Copy => "copy", ItemKind.Fill => "memset", ItemKind.RecordEvent => "event record", ItemKind.WaitValue => $"wait for a value at 0x{Destination:x}", ItemKind.WriteValue => "write of a value", ItemKind.Collective => Worker!.Describe(this), _ => "wait for an event",
    } + $" in stream {Stream.Number}";
}
