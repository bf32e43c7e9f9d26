using System.Runtime.InteropServices;
using Google.Protobuf;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Delegator.Snapshot;
using TreCr.Gmmu;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Replay;
using TreCr.Ring;

namespace TreCr.Delegator;

/// <summary>A session from a snapshot: fresh back end, the same addresses, the log replayed with its answers compared, then memory, events, segment.</summary>
internal sealed unsafe partial class Session
{
    /// <summary>
    /// Test switch, in the delegator's environment: a device address, 0x and hexadecimal digits, whose byte is XORed with 0x40 after a restore, so that
    /// <c>demo --sabotage</c> can show that a wrong restart is noticed.
    /// </summary>
    public const string FlipSwitch = "TRECR_TEST_FLIP_DEVICE_BYTE";

    /// <summary>Builds the session; it serves after <see cref="Serve"/>.</summary>
    /// <param name="hashes">receives the hashes of the frames read</param>
    /// <param name="lazy">device memory comes later, where that is possible: <see cref="LazyDescriptors"/>, <see cref="LazyNotice"/></param>
    /// <exception cref="ImageException">damaged, or of another version</exception>
    /// <exception cref="WrongDeviceException">the devices cannot take it, or give other values than when the program ran; named</exception>
    /// <exception cref="LinuxException">no memory, or an address is taken</exception>
    public static Session Restore(Func<IDeviceAllocator, ICudaBackend> makeBackend, ISnapshotReader reader, FrameHashes hashes, bool lazy = false)
    {
        SessionRecord saved = Parse(SessionRecord.Parser, reader, SessionName);
        if (saved.FormatVersion != StateFormatVersion || saved.ProtocolVersion != SegmentLayout.ProtocolVersion)
            throw new ImageException($"the delegator's state has format {saved.FormatVersion}, protocol {saved.ProtocolVersion}; this is {StateFormatVersion}, {SegmentLayout.ProtocolVersion}");
        Session session = new(makeBackend, (uint)saved.Devices.Count, saved.Portable);
        try
        {
            Fault.At(FaultPoint.DelegatorRestore);
            session.Rebuild(saved, reader, hashes, lazy);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    private void Rebuild(SessionRecord saved, ISnapshotReader reader, FrameHashes hashes, bool lazy)
    {
        for (int i = 0; i < saved.Devices.Count; i++)
            if (saved.Devices[i].SlotAddress != SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes) throw new ImageException($"device {i} had its slot at 0x{saved.Devices[i].SlotAddress:x}");
        GmmuRecord gmmu = Parse(GmmuRecord.Parser, reader, GmmuName);
        List<LoggedCall> calls = CallLogState.Load(reader);
        CheckKind(saved, calls);
        CheckDevices(saved, gmmu);
        CUresult result = StartDevices([.. saved.Devices.Select(d => d.TotalMemoryBytes)], out string? error);
        if (result != CUresult.CUDA_SUCCESS) throw new ImageException($"the device cannot be started: {error ?? result.ToString()}");
        // Contexts first: what a real driver maps, it maps in one.
        foreach (LoggedCall call in calls) _log.Restore(call);
        GmmuState state = new([.. gmmu.Allocations.Select(a => new Allocation(a.Address, a.Bytes, (AllocationKind)a.Kind, a.DeviceOrdinal, a.BufferId, a.Context, a.HostFlags))],
            gmmu.NextBufferId, _capacityBytes)
        {
            Exports = [.. gmmu.Exports.Select(e => new ExportedMemory(e.Address, new UInt128(e.TokenHigh, e.TokenLow), e.IsFreed))],
            Imports = [.. gmmu.Imports.Select(i => new ImportedMemory(i.Address, i.Start, i.BlockBytes, new UInt128(i.TokenHigh, i.TokenLow), (int)i.Opened, i.Who))],
            Aliases = [.. gmmu.Aliases.Select(a => new MemoryAlias(a.Address, a.Bytes, a.Target))],
        };
        if (lazy && state.Exports.Count + state.Imports.Count + state.Aliases.Count > 0)
        {
            lazy = false;
            _lazyNotice = "processes share it";
        }
        result = _memory.Restore(state, out error);
        if (result != CUresult.CUDA_SUCCESS) throw new ImageException($"memory: {error}");
        string flip = Environment.GetEnvironmentVariable(FlipSwitch) ?? "";
        // Modules of a GPU have their variables in the driver's own memory. Here they get some beside what was saved, which must not be cleared with that.
        if (_moved) Upload(state, reader, hashes, lazy: false);
        if (_moved && lazy) _lazyNotice = "the checkpoint was taken on a GPU";
        Replay(calls);
        HandlesRecord handles = Parse(HandlesRecord.Parser, reader, HandlesName);
        foreach (SerialCounter counter in handles.Counters)
        {
            if (counter.Kind > 255) throw new ImageException($"record handles: kind {counter.Kind}");
            _handles.SetCounter((HandleKind)counter.Kind, counter.Next);
        }
        if (!_moved) Upload(state, reader, hashes, lazy && flip.Length == 0);
        RestoreEvents(handles);
        SegmentPart.Read(_segment, reader, hashes);
        _execution.Pending = saved.PendingOutput.ToByteArray();
        foreach (FailedContext failed in saved.Failed)
        {
            _failed[failed.Context] = (CUresult)failed.Result;
            _anyFailed = true;
        }
        if (flip.Length > 0) FlipByte(state, flip);
        _moved = false;
        if (!_memory.PublishExports(out error)) throw new ImageException(error!);
    }

    /// <summary>Feeds the log to the dispatch and compares each answer.</summary>
    private void Replay(List<LoggedCall> calls)
    {
        byte* answer = stackalloc byte[RecordLimits.AnswerBytes];
        CallState state = CallState.Current;
        state.ContextSession = null;
        state.Channel = -1;
        state.Generation = 0;
        foreach (LoggedCall call in calls)
        {
            byte* record = state.Rent((nuint)call.Record.Length);
            if (record == null) throw new ImageException("record log: too long");
            call.Record.CopyTo(new Span<byte>(record, call.Record.Length));
            AnswerWriter writer = new(answer);
            _replaying = call;
            _replayError = null;
            try
            {
                RecordHeader* header = (RecordHeader*)record;
                CUresult result = MakeCurrent(state, header->Context, NeedsContext(header->Call)) ? Dispatch(state, header, ref writer) : CUresult.CUDA_ERROR_INVALID_CONTEXT;
                if (result != CUresult.CUDA_SUCCESS) throw new ImageException($"{NameOf(call.Call)} cannot be repeated on this device: {result}");
                if (_replayError is { } difference) throw new WrongDeviceException($"this device gives other values than when the program ran: {difference}");
            }
            finally
            {
                _replaying = null;
                state.End();
            }
        }
    }

    private void Upload(GmmuState state, ISnapshotReader reader, FrameHashes hashes, bool lazy)
    {
        if (_backend.DeviceMemoryIsHostMemory)
        {
            // What replay has put there is not what was saved: a frame of zeroes is no frame.
            List<(ulong Start, ulong End)> blocks = DeviceBlocksOf(state);
            foreach ((ulong start, ulong end) in blocks) Sys.Check(Sys.Madvise(start, end - start, Sys.MADV_REMOVE), "madvise", "device memory");
            if (lazy && blocks.Count > 0) _lazy = LazyDevice.TryBegin(blocks, out _lazyNotice);
        }
        else if (lazy) _lazyNotice = "a GPU's memory is brought before kernels run";
        for (int i = 0; i < _capacityBytes.Length && _lazy is null; i++)
        {
            ulong slot = SegmentLayout.DeviceBase + (ulong)i * SegmentLayout.DeviceSlotBytes;
            HashSet<long> frames = [.. AllocationFrames.Of(state.Saved, slot, SegmentLayout.DeviceSlotBytes)];
            FramePart.Read(reader, DevicePart(i), frames.Contains, (offset, bytes) => WriteDevice(slot + (ulong)offset, bytes), hashes);
        }
        foreach (Allocation variable in state.Allocations.Where(a => a.Kind == AllocationKind.ManagedVariable)) NativeMemory.Clear((void*)variable.Address, (nuint)variable.Bytes); // for the same reason
        HashSet<long> pinned = [.. AllocationFrames.Of(state.Allocations, SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes)];
        FramePart.Read(reader, PinnedPart, pinned.Contains, (offset, bytes) =>
            Buffer.MemoryCopy(bytes, (byte*)(SegmentLayout.PinnedBase + (ulong)offset), ISnapshotWriter.FrameSizeBytes, ISnapshotWriter.FrameSizeBytes), hashes);
    }

    /// <summary>Whole blocks of device memory in which something is allocated, neighbours as one.</summary>
    private static List<(ulong Start, ulong End)> DeviceBlocksOf(GmmuState state)
    {
        List<(ulong Start, ulong End)> blocks = [];
        foreach (Allocation allocation in state.Allocations)
        {
            if (allocation.Kind is not (AllocationKind.Device or AllocationKind.Internal)) continue;
            ulong start = allocation.Address & ~(DeviceMemory.BlockBytes - 1), end = (allocation.End + DeviceMemory.BlockBytes - 1) & ~(DeviceMemory.BlockBytes - 1);
            if (blocks.Count > 0 && start <= blocks[^1].End) blocks[^1] = (blocks[^1].Start, Math.Max(end, blocks[^1].End));
            else blocks.Add((start, end));
        }
        return blocks;
    }

    private LazyDevice? _lazy;
    private string? _lazyNotice;

    /// <summary>After a lazy restore: what the process needs that brings device memory; they stay this session's. Empty: all is there.</summary>
    public int[] LazyDescriptors => _lazy?.Descriptors ?? [];

    /// <summary>Why a restore that was to be lazy is not; null: it is.</summary>
    public string? LazyNotice => _lazyNotice;

    /// <summary>Waits for device memory that is still to come. Before anything looks at all of it.</summary>
    /// <exception cref="ImageException">it has not come in time</exception>
    public void CompleteLazily()
    {
        const int ArriveMs = 120_000;
        _lazy?.Complete(ArriveMs);
        _lazy = null;
    }

    private void WriteDevice(ulong address, byte* bytes)
    {
        if (_backend.DeviceMemoryIsHostMemory)
        {
            Buffer.MemoryCopy(bytes, (byte*)address, ISnapshotWriter.FrameSizeBytes, ISnapshotWriter.FrameSizeBytes);
            return;
        }
        CurrentForMemory();
        CUresult result = _backend.cuMemcpyHtoDAsync_v2(new CUdeviceptr(address), bytes, ISnapshotWriter.FrameSizeBytes, CUstream.Legacy);
        if (result == CUresult.CUDA_SUCCESS) result = _backend.cuStreamSynchronize(CUstream.Legacy);
        if (result != CUresult.CUDA_SUCCESS) throw new ImageException($"device memory at 0x{address:x} cannot be written: {result}");
    }

    private void RestoreEvents(HandlesRecord handles)
    {
        CurrentForMemory();
        foreach (EventTime time in handles.EventTimes)
        {
            if (!_handles.TryGet(HandleKind.Event, time.Event, out ulong real)) throw new ImageException($"record handles: no event 0x{time.Event:x} in the log");
            CUresult result = _backend.trecrEventSetTime(new CUevent(real), time.Nanoseconds);
            if (result != CUresult.CUDA_SUCCESS) throw new ImageException($"event 0x{time.Event:x} cannot be given its time: {result}");
        }
    }

    private void FlipByte(GmmuState state, string address)
    {
        ulong at = 0;
        bool isAddress = address.StartsWith("0x", StringComparison.Ordinal)
            && ulong.TryParse(address.AsSpan(2), System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture, out at);
        if (!isAddress || !state.Allocations.Any(a => a.Kind == AllocationKind.Device && at - a.Address < a.Bytes))
            throw new ImageException($"{FlipSwitch}={address} is no address of device memory of this image");
        ulong frame = at & ~(ulong)(ISnapshotWriter.FrameSizeBytes - 1);
        byte* scratch = stackalloc byte[ISnapshotWriter.FrameSizeBytes];
        byte* bytes = ReadDevice(frame, scratch);
        bytes[at - frame] ^= 0x40;
        if (!_backend.DeviceMemoryIsHostMemory) WriteDevice(frame, bytes);
        Messages.Say($"{FlipSwitch}: flipped a byte at 0x{at:x}");
    }

    private static T Parse<T>(MessageParser<T> parser, ISnapshotReader reader, string name) where T : IMessage<T>
    {
        try { return parser.ParseFrom(reader.GetRecord(name)); }
        catch (InvalidProtocolBufferException e) { throw new ImageException($"record {name}: {e.Message}", e); }
    }
}
