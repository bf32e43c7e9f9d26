using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.SoftDevice.Collectives;
using TreCr.SoftDevice.Engine;
using TreCr.SoftDevice.Sharing;
using TreCr.SoftDevice.Streams;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Backend;

/// <summary>
/// Memory and events of several processes of a job. Each maps blocks of the other's device memory (a memfd, opened as /proc/PID/fd/N) at addresses of its own; the file of a token says where they are. The mapping keeps them when
/// the process that made them ends.
/// </summary>
public sealed unsafe partial class SoftBackend
{
    /// <summary>Blocks of another process that are mapped here.</summary>
    /// <param name="Fd">its device memory</param><param name="Offsets">of each block in that</param>
    sealed record Attachment(ulong Bytes, TokenFile File, int Fd, ulong[] Offsets);

    readonly ulong jobHash;
    readonly Dictionary<UInt128, TokenFile> published = [];
    readonly Dictionary<ulong, Attachment> attached = [];
    readonly List<SoftEvent> destroyedEvents = []; // shared, and still needed by work in streams
    int saidOtherJob;

    public IDeviceSharing? Sharing => meetingDirectory is null ? null : this;

    CUresult IDeviceSharing.Publish(UInt128 token, ulong start, ulong blockBytes, ulong address, ulong bytes, string who)
    {
        try
        {
            StatusBoard b = Board(meetingDirectory!);
            lock (gate)
                if (published.TryGetValue(token, out TokenFile? known)) return known.Own(TokenPage.Memory, jobHash, who) ? CUDA_SUCCESS : CUDA_ERROR_ALREADY_MAPPED;
            TokenFile file = TokenFile.OpenOrCreate(meetingDirectory!, token);
            if (!file.Own(TokenPage.Memory, jobHash, who))
            {
                file.Dispose();
                return CUDA_ERROR_ALREADY_MAPPED;
            }
            TokenPage* page = file.Page;
            (page->StatusFd, page->BlockStart, page->BlockBytes, page->Offset, page->Length) = (b.StatusFd, start, blockBytes, address - start, bytes);
            Volatile.Write(ref page->IsReady, 1);
            lock (gate) published[token] = file;
            return CUDA_SUCCESS;
        }
        catch (LinuxException e) { return Say(e); }
    }

    static CUresult Say(LinuxException e)
    {
        Console.Error.WriteLine($"trecr: memory for other processes: {e.Message}");
        return CUDA_ERROR_OPERATING_SYSTEM;
    }

    bool IDeviceSharing.Withdraw(UInt128 token)
    {
        lock (gate)
        {
            if (!published.TryGetValue(token, out TokenFile? file)) return true;
            Volatile.Write(ref file.Page->IsReady, 0);
            if (!file.IsAlone) return false;
            published.Remove(token);
            file.Dispose();
            return true;
        }
    }

    bool IDeviceSharing.IsOwned(UInt128 token)
    {
        using TokenFile? file = TokenFile.Open(meetingDirectory!, token);
        return file is { IsOwned: true };
    }

    /// <summary>A file of this job, ready, whose owner lives.</summary>
    CUresult OpenToken(UInt128 token, uint kind, out TokenFile? file)
    {
        file = TokenFile.Open(meetingDirectory!, token);
        CUresult result = CUDA_SUCCESS;
        if (file is null || file.Page->Kind != kind || Volatile.Read(ref file.Page->IsReady) == 0 || !file.IsOwned) result = CUDA_ERROR_INVALID_VALUE;
        else if (file.IsOwn) result = CUDA_ERROR_INVALID_CONTEXT;
        else if (file.Page->Job != jobHash)
        {
            if (Interlocked.Exchange(ref saidOtherJob, 1) == 0) Console.Error.WriteLine($"trecr: memory or an event that {file.Name} exports is of another job, with which no checkpoint could be taken together: CUDA_ERROR_NOT_SUPPORTED");
            result = CUDA_ERROR_NOT_SUPPORTED;
        }
        if (result == CUDA_SUCCESS) return result;
        file?.Dispose();
        file = null;
        return result;
    }

    CUresult IDeviceSharing.Find(UInt128 token, out SharedMemory memory)
    {
        memory = default;
        CUresult result = OpenToken(token, TokenPage.Memory, out TokenFile? file);
        if (result != CUDA_SUCCESS) return result;
        using (file) memory = new(file!.Page->BlockBytes, file.Page->Offset, file.Page->Length, file.Name);
        return result;
    }

    CUresult IDeviceSharing.Attach(UInt128 token, ulong at, in SharedMemory memory)
    {
        CUresult result = OpenToken(token, TokenPage.Memory, out TokenFile? file);
        if (result != CUDA_SUCCESS) return result;
        TokenPage* page = file!.Page;
        if (page->BlockBytes != memory.BlockBytes || memory.BlockBytes % Granularity != 0 || Board(meetingDirectory!).Open(page->Pid, page->Start, page->StatusFd) is not { } owner)
        {
            file.Dispose();
            return CUDA_ERROR_INVALID_VALUE;
        }
        ulong[] offsets = new ulong[memory.BlockBytes / Granularity];
        for (int n = 0; n < offsets.Length; n++)
            if (owner.OffsetOf(page->BlockStart + (ulong)n * Granularity) is { } offset) offsets[n] = offset;
            else result = CUDA_ERROR_MAP_FAILED;
        long fd = Sys.TryOpen($"/proc/{owner.Pid}/fd/{owner.Page->DeviceFd}", Sys.O_RDWR | Sys.O_CLOEXEC);
        if (result != CUDA_SUCCESS || fd < 0)
        {
            Sys.Close((int)fd);
            file.Dispose();
            return CUDA_ERROR_MAP_FAILED;
        }
        lock (gate)
        {
            Attachment made = new(memory.BlockBytes, file, (int)fd, offsets);
            if (!MapBlocks(at, made.Fd, offsets))
            {
                Unmap(at, made);
                return CUDA_ERROR_MAP_FAILED;
            }
            attached[at] = made;
            PageTable.Mark(at, made.Bytes, true);
            PublishRanges();
        }
        return CUDA_SUCCESS;
    }

    /// <summary>Maps blocks one after another; neighbours that are neighbours in the file too by one call.</summary>
    static bool MapBlocks(ulong at, int fd, ReadOnlySpan<ulong> offsets)
    {
        for (int n = 0, end; n < offsets.Length; n = end)
        {
            for (end = n + 1; end < offsets.Length && offsets[end] == offsets[end - 1] + Granularity;) end++;
            ulong address = at + (ulong)n * Granularity;
            if (Sys.Mmap(address, (ulong)(end - n) * Granularity, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_FIXED | Sys.MAP_NORESERVE, fd, (long)offsets[n]) != (long)address) return false;
        }
        return true;
    }

    static void Unmap(ulong at, Attachment gone)
    {
        Sys.Mmap(at, gone.Bytes, Sys.PROT_NONE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE | Sys.MAP_FIXED);
        Sys.Close(gone.Fd);
        gone.File.Dispose();
    }

    void IDeviceSharing.Detach(UInt128 token, ulong at, ulong blockBytes)
    {
        lock (gate)
        {
            if (!attached.Remove(at, out Attachment? gone)) return;
            PageTable.Mark(at, gone.Bytes, false);
            PublishRanges();
            Unmap(at, gone);
        }
    }

    CUresult IDeviceSharing.Alias(ulong address, ulong bytes, ulong target)
    {
        if (bytes == 0 || bytes % Granularity != 0 || address % Granularity != 0 || target % Granularity != 0) return CUDA_ERROR_INVALID_VALUE;
        lock (gate)
            for (ulong done = 0; done < bytes; done += Granularity)
            {
                if (BlockAt(target == 0 ? address + done : target + done) is not { } block || !MapBlocks(address + done, block.Fd, [block.Offset])) return CUDA_ERROR_INVALID_VALUE;
                board?.SetBlocks(address + done, Granularity, block.Fd == memfd ? block.Offset : null);
            }
        return CUDA_SUCCESS;
    }

    /// <summary>What a block of mapped or attached memory is, whatever is shown in its place.</summary>
    (int Fd, ulong Offset)? BlockAt(ulong address)
    {
        foreach (Mapping m in mappings.Values)
            if (address >= m.Address && address - m.Address < m.Bytes) return (memfd, m.Physical.Offset + (address - m.Address));
        foreach ((ulong start, Attachment a) in attached)
            if (address >= start && address - start < a.Bytes) return (a.Fd, a.Offsets[(address - start) / Granularity]);
        return null;
    }

    CUresult IDeviceSharing.ExportEvent(CUevent @event, UInt128 token)
    {
        if (Find<SoftEventOwner>(@event.Value) is not { IsImported: false } e || (e.Event.Flags & Interprocess) == 0) return CUDA_ERROR_INVALID_HANDLE;
        if (e.Event.Shared is not null) return CUDA_ERROR_INVALID_VALUE;
        try
        {
            Board(meetingDirectory!);
            TokenFile file = TokenFile.OpenOrCreate(meetingDirectory!, token);
            if (!file.Own(TokenPage.Event, jobHash, ""))
            {
                file.Dispose();
                return CUDA_ERROR_ALREADY_MAPPED;
            }
            scheduler.Share(e.Event, new(file));
            Volatile.Write(ref file.Page->IsReady, 1);
            return CUDA_SUCCESS;
        }
        catch (LinuxException x) { return Say(x); }
    }

    CUresult IDeviceSharing.ImportEvent(out CUevent @event, UInt128 token, bool isReplay)
    {
        @event = default;
        CUresult result = NeedContext(out SoftContext context);
        if (result != CUDA_SUCCESS) return result;
        TokenFile? file = null;
        try
        {
            if (isReplay) file = TokenFile.OpenOrCreate(meetingDirectory!, token);
            else result = OpenToken(token, TokenPage.Event, out file);
        }
        catch (LinuxException x) { return Say(x); }
        if (result != CUDA_SUCCESS) return result;
        SoftEvent made = new(Interprocess | DisableTiming) { Shared = new(file!) };
        @event = new(Add(new SoftEventOwner(made, context) { IsImported = true }));
        return CUDA_SUCCESS;
    }

    /// <summary>The event is destroyed here. Its page goes when no work needs it any more.</summary>
    void EndSharing(SoftEvent e)
    {
        if (e.Shared is null) return;
        lock (gate)
        {
            destroyedEvents.Add(e);
            destroyedEvents.RemoveAll(gone =>
            {
                if (scheduler.IsInUse(gone)) return false;
                gone.Shared!.Dispose();
                return true;
            });
        }
    }

    /// <summary>The process ends: others go on with what they have mapped.</summary>
    void EndSharing()
    {
        lock (gate)
        {
            foreach ((ulong at, Attachment gone) in attached) Unmap(at, gone);
            attached.Clear();
            foreach (TokenFile file in published.Values) file.Dispose();
            published.Clear();
            foreach (object o in objects.Values)
                if (o is SoftEventOwner { Event.Shared: { } shared }) shared.Dispose();
            foreach (SoftEvent e in destroyedEvents) e.Shared!.Dispose();
            destroyedEvents.Clear();
        }
    }
}
