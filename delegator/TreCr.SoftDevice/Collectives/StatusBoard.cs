using TreCr.Calls.Cuda;
using TreCr.Linux;

namespace TreCr.SoftDevice.Collectives;

/// <summary>
/// What a process has beside its communicators: its <see cref="StatusPage"/>, the table of its device memory, the pages of others, and the agreement by which gates close: at a place where every member of every
/// communicator has launched as much as the others.
/// </summary>
/// <remarks>
/// A process whose gate is to close issues records as long as another member has launched more than it has. When that is so no longer, it is settled, and says with how many launches of its peers. All processes that hang
/// together by communicators (their pages name each other) are looked at twice: if all were settled both times, with nothing changed and with the launches that there are, nobody goes on any more, and the gate may close.
/// No process has to be asked: pages are read.
/// </remarks>
sealed unsafe class StatusBoard : IDisposable
{
    readonly object sync = new();
    readonly List<Communicator> communicators = [];
    readonly Dictionary<(int, ulong), PeerProcess> known = [];
    readonly StatusPage* own;
    readonly ulong* table;
    readonly int pageFd, tableFd;

    public StatusBoard(string directory)
    {
        Directory = directory;
        MeetingPage.RemoveAbandoned(directory);
        pageFd = Sys.MemfdCreate("trecr-nccl-status");
        tableFd = Sys.MemfdCreate("trecr-nccl-blocks");
        Sys.Ftruncate(pageFd, StatusPage.Bytes);
        Sys.Ftruncate(tableFd, (long)PeerProcess.TableBytes);
        own = (StatusPage*)Sys.Check(Sys.Mmap(0, StatusPage.Bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, pageFd), "mmap");
        table = (ulong*)Sys.Check(Sys.Mmap(0, PeerProcess.TableBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE, tableFd), "mmap");
        (own->TableFd, own->DeviceFd) = (tableFd, -1);
        PeerProcess self = PeerProcess.Own(own);
        known[(self.Pid, self.Start)] = self;
    }

    /// <summary>Where communicators meet.</summary>
    public string Directory { get; }

    public int StatusFd => pageFd;

    public void SetMemory(int fd, ulong bytes)
    {
        own->DeviceFd = fd;
        Volatile.Write(ref own->DeviceBytes, bytes);
    }

    /// <param name="offset">in the device memory's descriptor; null: nothing is there any more</param>
    public void SetBlocks(ulong address, ulong bytes, ulong? offset)
    {
        if (address < PeerProcess.FirstAddress || address + bytes > PeerProcess.FirstAddress + PeerProcess.AddressBytes) return;
        for (ulong at = 0; at < bytes; at += PeerProcess.BlockBytes)
            Volatile.Write(ref table[(address + at - PeerProcess.FirstAddress) / PeerProcess.BlockBytes], offset is { } there ? there + at + 1 : 0);
    }

    public void Add(Communicator communicator)
    {
        lock (sync) communicators.Add(communicator);
    }

    public void Remove(Communicator communicator)
    {
        lock (sync) communicators.Remove(communicator);
        communicator.Dispose();
    }

    public void CountLaunches(uint count) => Volatile.Write(ref own->Launches, own->Launches + count);

    /// <summary>The process of a member.</summary>
    /// <returns>null: it has ended</returns>
    public PeerProcess? Open(MemberSlot* member) => Open(member->Pid, member->Start, member->StatusFd);

    /// <inheritdoc cref="Open(MemberSlot*)"/>
    public PeerProcess? Open(int pid, ulong start, int statusFd)
    {
        lock (sync)
        {
            if (known.TryGetValue((pid, start), out PeerProcess? peer)) return peer;
            peer = PeerProcess.Open(pid, start, statusFd);
            if (peer is not null) known[(pid, start)] = peer;
            return peer;
        }
    }

    /// <inheritdoc cref="ICudaBackend.StepGate"/>
    public GateStep StepGate(out string? blocker)
    {
        lock (sync)
        {
            blocker = null;
            if (communicators.Count == 0) return GateStep.Close;
            List<(int Pid, ulong Start, int Fd)> peers = NamePeers();
            ulong launches = LaunchesOf(peers);
            foreach (Communicator c in communicators)
                if (WhoIsAhead(c) is { } ahead)
                {
                    Settle(false, 0);
                    blocker = ahead;
                    return GateStep.GoOn;
                }
            Settle(true, launches);
            if (AllAreSettled(out blocker) is not { } first || AllAreSettled(out blocker) is not { } second || !first.SequenceEqual(second)) return GateStep.Wait;
            blocker = null;
            return GateStep.Close;
        }
    }

    public void GateOpened()
    {
        lock (sync) Settle(false, 0);
    }

    void Settle(bool settled, ulong peerLaunches)
    {
        uint value = settled ? 1u : 0;
        if (own->IsSettled == value && own->PeerLaunches == peerLaunches) return;
        own->PeerLaunches = peerLaunches;
        own->IsSettled = value;
        Interlocked.Increment(ref own->Version);
    }

    /// <summary>Writes down with whom this process has communicators now.</summary>
    List<(int Pid, ulong Start, int Fd)> NamePeers()
    {
        List<(int Pid, ulong Start, int Fd)> peers = [];
        foreach (Communicator c in communicators)
            for (uint n = 0; n < c.Size && c.Page.IsComplete; n++)
            {
                MemberSlot* m = c.Page.Member(n);
                if (m->Pid != Environment.ProcessId && m->End == 0 && !peers.Exists(p => p.Pid == m->Pid && p.Start == m->Start) && peers.Count < StatusPage.MostPeers) peers.Add((m->Pid, m->Start, m->StatusFd));
            }
        bool changed = own->PeerCount != peers.Count;
        for (int i = 0; i < peers.Count; i++)
        {
            ulong who = (uint)peers[i].Pid | (ulong)(uint)peers[i].Fd << 32;
            changed |= own->Peers[2 * i] != who || own->Peers[2 * i + 1] != peers[i].Start;
            (own->Peers[2 * i], own->Peers[2 * i + 1]) = (who, peers[i].Start);
        }
        own->PeerCount = peers.Count;
        if (changed) Interlocked.Increment(ref own->Version);
        return peers;
    }

    ulong LaunchesOf(List<(int Pid, ulong Start, int Fd)> peers)
    {
        ulong sum = 0;
        foreach ((int pid, ulong start, int fd) in peers)
            if (Open(pid, start, fd) is { HasEnded: false } p) sum += Volatile.Read(ref p.Page->Launches);
        return sum;
    }

    /// <summary>A member that has launched what this one has not; null: none.</summary>
    static string? WhoIsAhead(Communicator c)
    {
        if (!c.Page.IsComplete) return null;
        ulong own = c.Page.Member(c.Rank)->Launched;
        for (uint n = 0; n < c.Size; n++)
        {
            MemberSlot* other = c.Page.Member(n);
            if (n == c.Rank || other->End != 0) continue;
            ulong its = Volatile.Read(ref other->Launched);
            if (its > own) return $"rank {c.Rank} of {c.Name}, which has launched {own} collectives while rank {n} has launched {its},";
            PairSlot* to = c.Page.Pair(c.Rank, n), from = c.Page.Pair(n, c.Rank);
            if (Volatile.Read(ref to->ReceivesLaunched) > to->SendsLaunched)
                return $"rank {c.Rank} of {c.Name}, which has not launched a send to rank {n} that is received there,";
            if (Volatile.Read(ref from->SendsLaunched) > from->ReceivesLaunched) return $"rank {c.Rank} of {c.Name}, which has not launched a receive from rank {n} that is sent there,";
        }
        return null;
    }

    /// <summary>Looks once at all processes that hang together with this one.</summary>
    /// <returns>what stands on their pages; null: one has more to issue, or may have</returns>
    List<(int Pid, uint Version, ulong Launches)>? AllAreSettled(out string? blocker)
    {
        blocker = null;
        List<(int Pid, uint Version, ulong Launches)> seen = [];
        List<PeerProcess> all = [known[(Environment.ProcessId, ProcessStart.Own)]];
        for (int i = 0; i < all.Count; i++)
        {
            StatusPage* p = all[i].Page;
            uint version = Volatile.Read(ref p->Version);
            if (Volatile.Read(ref p->IsSettled) == 0)
            {
                blocker = $"process {all[i].Pid}, which has communicators in common with this one and is not stopped or has to go on,";
                return null;
            }
            List<(int, ulong, int)> peers = [];
            for (int n = 0; n < Math.Clamp(p->PeerCount, 0, StatusPage.MostPeers); n++)
            {
                (int pid, ulong start, int fd) = ((int)p->Peers[2 * n], p->Peers[2 * n + 1], (int)(p->Peers[2 * n] >> 32));
                peers.Add((pid, start, fd));
                if (Open(pid, start, fd) is { HasEnded: false } peer && !all.Contains(peer)) all.Add(peer);
            }
            if (LaunchesOf(peers) != p->PeerLaunches)
            {
                blocker = $"process {all[i].Pid}, which has not yet seen what others have launched,";
                return null;
            }
            seen.Add((all[i].Pid, version, Volatile.Read(ref p->Launches)));
        }
        return seen;
    }

    public void Dispose()
    {
        Communicator[] all;
        lock (sync) all = [.. communicators];
        foreach (Communicator c in all) c.Leave(MemberSlot.HasEnded); // its program did not
        if (!all.All(c => c.Join(2000))) return; // one still uses the pages
        foreach (PeerProcess p in known.Values) p.Close();
        Sys.Munmap((ulong)own, StatusPage.Bytes);
        Sys.Munmap((ulong)table, PeerProcess.TableBytes);
        Sys.Close(pageFd);
        Sys.Close(tableFd);
    }
}
