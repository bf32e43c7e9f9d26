using Google.Protobuf;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Delegator.Snapshot;
using TreCr.Gmmu;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Replay;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>Saving a session. The gate is closed, the device drained, the program frozen. Nothing here changes the session: a failed capture leaves all as it was.</summary>
internal sealed unsafe partial class Session
{
    private const uint StateFormatVersion = 1;

    /// <summary>Buffers made ready for a stop, beyond those for frames that are known to change: segment, records.</summary>
    private const int SpareFrames = 64;

    /// <summary>How long rounds after the copy ahead may go on.</summary>
    private const int RefineMs = 10_000;

    private readonly Dictionary<string, HashSet<long>> _hotFrames = [];
    private const string SessionName = "session", GmmuName = "gmmu", HandlesName = "handles", PinnedPart = "pinned";

    /// <summary>Where device memory is this process's own: what was written of it. Made at the first checkpoint.</summary>
    private WrittenFrames? DeviceWrites => _backend.DeviceMemoryIsHostMemory ? _deviceWrites ??= new WrittenFrames() : null;

    private WrittenFrames? _deviceWrites, _pinnedWrites;

    /// <summary>What the program writes to pinned memory can be found out from now on, so that a stop need not look at all of it.</summary>
    /// <param name="uffd">of the program, in asynchronous write-protect mode; owned from here on</param>
    /// <remarks>A real GPU writes pinned memory past all page tables: nothing is tracked there.</remarks>
    public void TrackProgram(int uffd)
    {
        if (_pinnedWrites is not null || !_backend.DeviceMemoryIsHostMemory)
        {
            Sys.Close(uffd);
            return;
        }
        WrittenFrames writes = new();
        if (!writes.Watch(uffd, _program.Pid, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, SegmentLayout.PinnedBase))
        {
            writes.Dispose();
            return;
        }
        _memory.OnPinnedDiscarded = writes.Discard;
        _pinnedWrites = writes;
    }

    private static string DevicePart(int ordinal) => $"device-{ordinal}";

    /// <summary>
    /// Copies device and pinned memory while the program runs, so that a capture has only to hash it and to write what changed. Any thread. Memory that only
    /// the device can read is left to the capture: a copy through it would stand in the program's way.
    /// </summary>
    public Precopy CopyAhead(ISnapshotWriter writer, FrameHashes? baseHashes)
    {
        foreach (ModulePtx _ in LiveModules()) { } // looked at now, not in the stop
        _memory.ForgetRestart();
        Share();
        Precopy precopy = new(_hotFrames);
        IReadOnlyList<Allocation> allocations = _memory.LiveAllocations();
        for (int i = 0; i < _capacityBytes.Length && _backend.DeviceMemoryIsHostMemory; i++)
        {
            ulong slot = SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes;
            FramePart.Copy(writer, DevicePart(i), (long)SegmentLayout.DeviceSlotBytes, AllocationFrames.Of(allocations, slot, SegmentLayout.DeviceSlotBytes), slot, baseHashes, precopy, DeviceWrites);
        }
        FramePart.Copy(writer, PinnedPart, (long)SegmentLayout.PinnedBytes, AllocationFrames.Of(allocations, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes), SegmentLayout.PinnedBase,
            baseHashes, precopy, _pinnedWrites);
        writer.PrepareFrames(precopy.HotCount + SpareFrames);
        return precopy;
    }

    /// <summary>After <see cref="CopyAhead"/>, when the stop is near: copies what was written meanwhile in rounds, until it is little. Any thread.</summary>
    public void Refine(ISnapshotWriter writer, Precopy precopy, PhaseTimes times)
    {
        if (DeviceWrites is not { Works: true } tracker) return;
        CopyRounds rounds = new(RefineMs);
        long bytes;
        do
        {
            bytes = 0;
            IReadOnlyList<Allocation> allocations = _memory.LiveAllocations();
            for (int i = 0; i < _capacityBytes.Length; i++)
            {
                ulong slot = SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes;
                bytes += FramePart.CopyAgain(writer, DevicePart(i), tracker.Watched(slot, AllocationFrames.Of(allocations, slot, SegmentLayout.DeviceSlotBytes)), slot, precopy, tracker);
            }
            if (_pinnedWrites is { Works: true } pinned)
                bytes += FramePart.CopyAgain(writer, PinnedPart, AllocationFrames.Of(allocations, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes), SegmentLayout.PinnedBase, precopy, pinned);
            times.Mark($"round {rounds.Count + 1}", bytes);
        }
        while (rounds.Another(bytes));
        writer.PrepareFrames((int)(bytes / ISnapshotWriter.FrameSizeBytes) + SpareFrames);
    }

    /// <summary>
    /// Goes once through what a capture does, on empty objects and into nothing, while the program runs: the first call of each function loads its types, which took
    /// 80 ms of a first stop.
    /// </summary>
    public void Rehearse()
    {
        MemorySnapshot nowhere = new();
        CallLogState.Save(new CallLog(), nowhere);
        GmmuRecord memory = ToRecord(new GmmuState([new Allocation(0, 1, default, 0, 1, 1, 0)], 1, []) { Exports = [new ExportedMemory(0, 1, true)], Imports = [new ImportedMemory(0, 0, 1, 1, 1, "")], Aliases = [new MemoryAlias(0, 1, 1)] });
        HandlesRecord handles = new();
        handles.Counters.Add(new SerialCounter { Kind = 1, Next = 1 });
        handles.EventTimes.Add(new EventTime { Event = 1, Nanoseconds = 1 });
        SessionRecord session = new() { FormatVersion = StateFormatVersion, DeviceKind = "none", PendingOutput = ByteString.CopyFrom([1]) };
        session.Devices.Add(new SavedDevice { Name = "none", TotalMemoryBytes = 1, SlotAddress = 1 });
        session.Failed.Add(new FailedContext { Context = 1, Result = 1 });
        session.Modules.Add(new SavedModule { Name = ModulePtx.Of([], onGpu: false).Name });
        nowhere.PutRecord(GmmuName, memory.ToByteArray());
        nowhere.PutRecord(HandlesName, handles.ToByteArray());
        nowhere.PutRecord(SessionName, session.ToByteArray());
        try { SegmentPart.Write(_segment, nowhere, null, new FrameHashes()); }
        catch (RingException) { } // the program moves on meanwhile: a head and a tail that do not fit together
    }

    /// <summary>Copies all that the session owns into a snapshot.</summary>
    /// <param name="baseHashes">frames of the snapshot that the writer was opened over; null: write everything</param>
    /// <param name="hashes">receives those of this snapshot</param>
    /// <param name="precopy">of <see cref="CopyAhead"/> with the same writer; null: none</param>
    /// <returns>bytes that were written, not kept</returns>
    /// <exception cref="InvalidOperationException">the gate is open</exception>
    /// <exception cref="ImageException">something cannot be saved; named</exception>
    public long Capture(ISnapshotWriter writer, FrameHashes? baseHashes, FrameHashes hashes, Precopy? precopy = null, PhaseTimes? times = null)
    {
        times?.Restart();
        if (!_dispatcher.IsGated) throw new InvalidOperationException("capture without a closed gate");
        Fault.At(FaultPoint.DelegatorCapture);
        Share();
        GmmuState state = _memory.Save();
        times?.Mark("memory map");
        long written = 0;
        for (int i = 0; i < _capacityBytes.Length; i++)
        {
            ulong slot = SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes;
            long[] frames = AllocationFrames.Of(state.Saved, slot, SegmentLayout.DeviceSlotBytes);
            written += FramePart.Write(writer, DevicePart(i), (long)SegmentLayout.DeviceSlotBytes, frames, (offset, scratch) => ReadDevice(slot + (ulong)offset, scratch), baseHashes, precopy, hashes,
                DeviceWrites is { } tracker ? (tracker, slot) : null);
        }
        times?.Mark("device", written);
        written += FramePart.Write(writer, PinnedPart, (long)SegmentLayout.PinnedBytes, AllocationFrames.Of(state.Allocations, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes),
            (offset, _) => (byte*)(SegmentLayout.PinnedBase + (ulong)offset), baseHashes, precopy, hashes, _pinnedWrites is { } pinnedWrites ? (pinnedWrites, SegmentLayout.PinnedBase) : null);
        times?.Mark("pinned");
        written += SegmentPart.Write(_segment, writer, baseHashes, hashes);
        times?.Mark("segment");
        CallLogState.Save(_log, writer);
        writer.PutRecord(GmmuName, ToRecord(state).ToByteArray());
        writer.PutRecord(HandlesName, SaveHandles().ToByteArray());
        writer.PutRecord(SessionName, SaveSession().ToByteArray());
        times?.Mark("records");
        return written;
    }

    /// <summary>A frame of device memory: as it lies, or fetched.</summary>
    private byte* ReadDevice(ulong address, byte* scratch)
    {
        if (_backend.DeviceMemoryIsHostMemory) return (byte*)address;
        CurrentForMemory();
        CUresult result = _backend.cuMemcpyDtoHAsync_v2(scratch, new CUdeviceptr(address), ISnapshotWriter.FrameSizeBytes, CUstream.Legacy);
        if (result == CUresult.CUDA_SUCCESS) result = _backend.cuStreamSynchronize(CUstream.Legacy);
        return result == CUresult.CUDA_SUCCESS ? scratch : throw new ImageException($"device memory at 0x{address:x} cannot be read: {result}");
    }

    /// <summary>Makes some context current on this thread: copies need one.</summary>
    private void CurrentForMemory()
    {
        CallState state = CallState.Current;
        if (state.ContextSession == this && state.Context != 0) return;
        foreach (ulong context in _contexts.Keys)
            if (MakeCurrent(state, context, true)) return;
    }

    /// <summary>Before frames are looked at: which of them others may have written.</summary>
    /// <exception cref="ImageException">memory is mapped here that nobody would save</exception>
    private void Share()
    {
        if (_memory.Orphan is { } orphan) throw new ImageException(orphan);
        if (DeviceWrites is { } writes) writes.Shared = _memory.SharedRanges;
    }

    private static GmmuRecord ToRecord(GmmuState state)
    {
        GmmuRecord record = new() { NextBufferId = state.NextBufferId };
        foreach (Allocation a in state.Allocations)
            record.Allocations.Add(new SavedAllocation { Address = a.Address, Bytes = a.Bytes, Kind = (uint)a.Kind, DeviceOrdinal = a.DeviceOrdinal, BufferId = a.BufferId, Context = a.Context, HostFlags = a.HostFlags });
        foreach (ExportedMemory e in state.Exports) record.Exports.Add(new SavedExport { Address = e.Address, TokenLow = (ulong)e.Token, TokenHigh = (ulong)(e.Token >> 64), IsFreed = e.IsFreed });
        foreach (ImportedMemory i in state.Imports)
            record.Imports.Add(new SavedImport { Address = i.Address, Start = i.Start, BlockBytes = i.BlockBytes, TokenLow = (ulong)i.Token, TokenHigh = (ulong)(i.Token >> 64), Opened = (uint)i.Opened, Who = i.Who });
        foreach (MemoryAlias a in state.Aliases) record.Aliases.Add(new SavedAlias { Address = a.Address, Bytes = a.Bytes, Target = a.Target });
        return record;
    }

    private HandlesRecord SaveHandles()
    {
        HandlesRecord record = new();
        foreach ((HandleKind kind, ulong next) in _handles.Counters) record.Counters.Add(new SerialCounter { Kind = (uint)kind, Next = next });
        CurrentForMemory();
        foreach (ulong handle in _handles.All(HandleKind.Event))
        {
            ulong nanoseconds = 0;
            if (_handles.TryGet(HandleKind.Event, handle, out ulong real)) _backend.trecrEventGetTime(&nanoseconds, new CUevent(real));
            record.EventTimes.Add(new EventTime { Event = handle, Nanoseconds = nanoseconds });
        }
        return record;
    }

    private SessionRecord SaveSession()
    {
        SessionRecord record = new()
        {
            FormatVersion = StateFormatVersion, ProtocolVersion = SegmentLayout.ProtocolVersion, DeviceKind = _backend.DeviceKind,
            ConnectionDescriptor = _segment.Header->ConnectionDescriptor, PendingOutput = ByteString.CopyFrom(_execution.Pending), Portable = IsPortable,
        };
        foreach (ModulePtx module in LiveModules()) record.Modules.Add(new SavedModule { Name = module.Name, HasPtx = module.Lacks is null, Lacks = module.Lacks ?? "" });
        for (int i = 0; i < _capacityBytes.Length; i++)
        {
            (uint major, uint minor) = ComputeCapability(i);
            record.Devices.Add(new SavedDevice
            {
                Name = _deviceNames[i], TotalMemoryBytes = _capacityBytes[i], SlotAddress = SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes, ComputeMajor = major, ComputeMinor = minor,
            });
        }
        foreach ((ulong context, CUresult result) in _failed) record.Failed.Add(new FailedContext { Context = context, Result = (int)result });
        // A device failure that nobody has asked for yet is the program's to find, after a restart too.
        foreach ((ulong context, _) in _contexts)
        {
            if (_failed.ContainsKey(context) || !MakeCurrent(CallState.Current, context, true)) continue;
            CUresult result = _backend.cuCtxSynchronize();
            if (result != CUresult.CUDA_SUCCESS) record.Failed.Add(new FailedContext { Context = context, Result = (int)result });
        }
        return record;
    }
}
