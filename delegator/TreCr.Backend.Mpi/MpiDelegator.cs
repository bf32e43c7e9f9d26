using TreCr.Linux;
using TreCr.Rank;
using TreCr.Ring;

namespace TreCr.Backend.Mpi;

/// <summary>
/// The process that owns a rank's MPI library: one per launch slot, for life. Its main thread is the only one that calls the library; another one hears the supervisor.
/// </summary>
public static unsafe class MpiDelegator
{
    /// <summary>Empty turns in which the processor is offered to others before a sleep, and the longest sleeps, ns: while a call of the program waits, and while none does.</summary>
    private const int YieldTurns = 200;
    private const long WaitedForNs = 50_000, IdleNs = 1_000_000;

    /// <summary>Serves until the supervisor closes the socket.</summary>
    /// <param name="control">socket to the supervisor; owned</param>
    /// <returns>exit code: 0, or 1 where the library failed (said on standard error)</returns>
    public static int Run(int control)
    {
        using RankConnection connection = new(control);
        MpiSegment? segment = null;
        try
        {
            Request? attach = connection.Receive(Request.Parser, out int[] descriptors);
            if (attach is null) return 0;
            if (attach.VerbCase != Request.VerbOneofCase.MpiAttach || descriptors.Length != 2) throw new MpiBackendException("the first message is not an attach");
            MpiLibrary mpi;
            try
            {
                mpi = MpiLibrary.Load();
                mpi.Init();
                segment = Attach(mpi, attach.MpiAttach, descriptors[0]);
            }
            catch (Exception e) when (e is MpiBackendException or RingException or LinuxException)
            {
                connection.Send(new Reply { Id = attach.Id, Error = e.Message });
                return 1;
            }
            connection.Send(new Reply { Id = attach.Id, MpiRank = mpi.Rank, MpiSize = mpi.Size, MpiLibrary = mpi.Version });
            return Serve(mpi, segment, connection, descriptors[1]);
        }
        catch (Exception e) when (e is MpiBackendException or RingException or LinuxException)
        {
            Console.Error.WriteLine($"trecr: MPI delegator: {e.Message}");
            return 1;
        }
    }

    private static MpiSegment Attach(MpiLibrary mpi, MpiAttachRequest order, int descriptor)
    {
        if (mpi.Size > MpiSegmentLayout.MaxRanks) throw new MpiBackendException($"{mpi.Size} ranks; the limit is {MpiSegmentLayout.MaxRanks}");
        if (order.Size > 0 && order.Size != mpi.Size)
            throw new MpiBackendException(mpi.Size == 1
                ? $"the launcher has {order.Size} ranks and the MPI library sees one: the variables or descriptors of the launcher did not reach it, or it is the library of another launcher"
                : $"{order.Size} ranks were expected and the MPI library has {mpi.Size}");
        if (order.Size > 0 && order.Rank >= 0 && order.Rank != mpi.Rank) throw new MpiBackendException($"rank {order.Rank} was expected and the MPI library says {mpi.Rank}");
        if (!order.Restored) Sys.Ftruncate(descriptor, MpiSegmentLayout.SegmentBytes(mpi.Size));
        // A page beyond the end of the file would be a signal, not an error.
        if (Sys.Check(Sys.Raw(SyscallNumber.Lseek, descriptor, 0, 2), "lseek", "MPI segment") < MpiSegmentLayout.SegmentBytes(mpi.Size)) throw new MpiBackendException($"the MPI segment is too short for {mpi.Size} ranks");
        MpiSegment segment = MpiSegment.Map(descriptor, mpi.Size, dontFork: false);
        Sys.Close(descriptor);
        MpiSegmentHeader* header = segment.Header;
        if (!order.Restored) (header->Magic, header->Version, header->Rank, header->Size) = (MpiSegmentLayout.Magic, MpiSegmentLayout.ProtocolVersion, mpi.Rank, mpi.Size);
        else if (header->Magic != MpiSegmentLayout.Magic || header->Version != MpiSegmentLayout.ProtocolVersion || header->Rank != mpi.Rank || header->Size != mpi.Size)
            throw new MpiBackendException($"the saved MPI segment is of rank {header->Rank} of {header->Size}, version {header->Version}; this is rank {mpi.Rank} of {mpi.Size}");
        return segment;
    }

    /// <param name="aborts">socket by which the supervisor hears of MPI_Abort before it ends the ranks</param>
    private static int Serve(MpiLibrary mpi, MpiSegment segment, RankConnection connection, int aborts)
    {
        PacketPump pump = new(mpi, segment);
        MpiSegmentHeader* header = segment.Header;
        Ear ear = new(connection, header);
        ulong gateReply = 0;
        bool finalized = false;
        int empty = 0;
        while (true)
        {
            if (ear.TryTake(out Request? request))
            {
                if (request is null) break;
                switch (request.VerbCase)
                {
                    case Request.VerbOneofCase.Gate:
                        pump.Close(request.Gate.Epoch);
                        gateReply = request.Id;
                        break;
                    case Request.VerbOneofCase.Open:
                        pump.Open(request.Open.Epoch);
                        connection.Send(new Reply { Id = request.Id });
                        gateReply = 0;
                        break;
                    case Request.VerbOneofCase.Finish: // --stop: every rank ends here, drained
                        if (!finalized) mpi.Complete();
                        finalized = true;
                        connection.Send(new Reply { Id = request.Id });
                        break;
                    case Request.VerbOneofCase.Status: connection.Send(new Reply { Id = request.Id, MpiRank = mpi.Rank, MpiSize = mpi.Size, MpiLibrary = mpi.Version }); break;
                    default: connection.Send(new Reply { Id = request.Id, Error = $"an MPI delegator knows no {request.VerbCase}" }); break;
                }
            }
            bool moved = !finalized && pump.Turn();
            if (gateReply != 0 && (pump.IsDrained || finalized))
            {
                connection.Send(new Reply { Id = gateReply });
                gateReply = 0;
            }
            if (!pump.IsGated && !finalized && Volatile.Read(ref header->Command) is var command and not 0 && header->Answered != command && !pump.IsBusy && !pump.HasWork)
            {
                if (command == (uint)MpiCommand.Abort) Abort(mpi, header->AbortCode, aborts);
                mpi.Complete();
                finalized = true;
                Volatile.Write(ref header->Answered, command);
                Interlocked.Increment(ref header->InSignal);
                Sys.FutexWake(&header->InSignal);
            }
            if (moved)
            {
                empty = 0;
                continue;
            }
            if (++empty < YieldTurns || (pump.IsBusy && !finalized))
            {
                Sys.Yield();
                continue;
            }
            Sleep(header, pump, ear, finalized);
        }
        if (!finalized)
        {
            // The program has ended without MPI_Finalize, or was killed: the launcher has to hear of it.
            if (!pump.IsBusy && !pump.HasWork && header->Command == (uint)MpiCommand.Finalize) mpi.Complete();
            else mpi.Abort(1);
        }
        return 0;
    }

    /// <summary>The launcher may kill our supervisor as soon as it knows: whoever would take that for a failure hears of it before.</summary>
    private static void Abort(MpiLibrary mpi, int code, int aborts)
    {
        const int AnswerMs = 5_000;
        Sys.Send(aborts, new ReadOnlySpan<byte>(&code, sizeof(int)));
        Sys.Poll([new PollEntry { Fd = aborts, Events = Sys.POLLIN }], AnswerMs);
        mpi.Abort(code);
    }

    private static void Sleep(MpiSegmentHeader* header, PacketPump pump, Ear ear, bool finalized)
    {
        uint signal = Volatile.Read(ref header->OutSignal);
        Volatile.Write(ref header->DelegatorSleeps, 1);
        Interlocked.MemoryBarrier();
        if (!pump.HasWork && !ear.HasSomething)
            Sys.FutexWait(&header->OutSignal, signal, finalized ? 100 * IdleNs : Volatile.Read(ref header->WaitingCalls) > 0 ? WaitedForNs : IdleNs);
        Volatile.Write(ref header->DelegatorSleeps, 0);
    }

    /// <summary>Hears the supervisor on a thread of its own.</summary>
    private sealed class Ear
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<Request?> _heard = new();
        private readonly RankConnection _connection;
        private readonly MpiSegmentHeader* _header;

        public Ear(RankConnection connection, MpiSegmentHeader* header)
        {
            _connection = connection;
            _header = header;
            new Thread(Hear, 256 * 1024) { IsBackground = true, Name = "supervisor" }.Start();
        }

        public bool HasSomething => !_heard.IsEmpty;

        /// <param name="request">null: the supervisor is gone</param>
        public bool TryTake(out Request? request) => _heard.TryDequeue(out request);

        private void Hear()
        {
            while (true)
            {
                Request? request = null;
                try { request = _connection.Receive(Request.Parser, out _); }
                catch (Exception e) when (e is LinuxException or Google.Protobuf.InvalidProtocolBufferException) { } // as good as closed
                _heard.Enqueue(request);
                Interlocked.Increment(ref _header->OutSignal);
                Sys.FutexWake(&_header->OutSignal);
                if (request is null) return;
            }
        }
    }
}
