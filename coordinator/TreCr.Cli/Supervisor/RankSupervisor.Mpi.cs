using System.Runtime.InteropServices;
using System.Text;
using TreCr.Control;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Rank;
using TreCr.Ring;

namespace TreCr.Cli;

// The rank's MPI: begun by the first process that calls MPI_Init, once for a launch slot.
internal sealed partial class RankSupervisor
{
    private readonly Lock _mpiLock = new();
    private MpiState? _mpiState;
    private bool _mpiBegun;
    private int? _abortCode; // of MPI_Abort

    /// <summary>null: no process of the program has called MPI_Init.</summary>
    public MpiDelegatorProcess? Mpi { get; private set; }

    /// <summary>Serves a process that calls MPI_Init, on a thread of its connection.</summary>
    /// <param name="segment">descriptor; stays the caller's</param>
    private void WelcomeMpi(int connection, int hostPid, MpiHello hello, int segment)
    {
        MpiWelcome welcome = default;
        string text = "";
        try
        {
            if (hello.ProtocolVersion != MpiHello.Version) throw new TrecrException(TrecrError.DelegatorStart, $"the wrapper of process {hello.Pid} speaks version {hello.ProtocolVersion} of the MPI segment, this trecr {MpiHello.Version}");
            lock (_mpiLock)
            {
                if (_mpiBegun) throw new TrecrException(TrecrError.DelegatorStart, $"process {hello.Pid} calls MPI_Init, and process {_mpiState?.Pid} of this rank has done so before: a launcher's slot is one MPI process");
                _mpiBegun = true;
            }
            MpiAttachRequest attach = new() { HostPid = hostPid, Rank = Slot.Launcher.Length > 0 ? (int)Slot.Rank : -1, Size = Slot.Launcher.Length > 0 ? (int)Slot.Size : 0 };
            BeginMpi(segment, attach, hello.Pid, hello.SegmentDescriptor);
            (welcome.Rank, welcome.Size) = (Mpi!.Rank, Mpi.Size);
        }
        catch (Exception e)
        {
            (TrecrError error, text, _) = Program.Explain(e);
            welcome.Status = error.Number;
            Output.Error(error, text);
        }
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Sys.Send(connection, [.. MemoryMarshal.AsBytes(new ReadOnlySpan<MpiWelcome>(in welcome)), .. bytes.AsSpan(0, Math.Min(bytes.Length, MpiWelcome.MaxTextBytes))]);
    }

    private void BeginMpi(int segment, MpiAttachRequest attach, int pid, int number)
    {
        Mpi = MpiDelegatorProcess.Start(segment, attach, how =>
        {
            if (ProgramEnded) return;
            if (_abortCode is null) Output.Error(TrecrError.DelegatorLost, $"the MPI delegator ended ({how}), and the program with it");
            KillProgram();
        }, code =>
        {
            _abortCode = code;
            TellThatItIsEnded("called MPI_Abort", final: true);
        });
        _jobLock.Note("mpi delegator", Mpi.HostPid);
        _mpiState = new MpiState { Pid = pid, SegmentDescriptor = number, Rank = Mpi.Rank, Size = Mpi.Size, Library = Mpi.Library };
    }

    /// <summary>Of a restored program that waits for its release: takes its segment and starts MPI again, in this launch.</summary>
    /// <param name="hostPid">of the process that has the segment</param>
    public void RestoreMpi(MpiState state, int hostPid, ulong epoch)
    {
        string path = $"/proc/{hostPid}/fd/{state.SegmentDescriptor}";
        long segment = Sys.TryOpen(path, Sys.O_RDWR | Sys.O_CLOEXEC);
        if (segment < 0) throw new TrecrException(TrecrError.RestoreFailed, $"the MPI segment of process {state.Pid} cannot be opened ({path}): {Errno.Describe((int)-segment)}");
        try
        {
            _mpiBegun = true;
            // After MPI_Finalize there is nothing to start again, and ranks that have ended since would not take part.
            uint answered = 0;
            unsafe { Sys.Check(Sys.Raw(SyscallNumber.Pread64, segment, (long)&answered, sizeof(uint), MpiSegmentHeader.AnsweredOffset), "pread", "MPI segment"); }
            if (answered == (uint)MpiCommand.Finalize)
            {
                _mpiState = state;
                return;
            }
            BeginMpi((int)segment, new MpiAttachRequest { Restored = true, Rank = state.Rank, Size = state.Size, HostPid = hostPid, Epoch = epoch }, state.Pid, state.SegmentDescriptor);
        }
        finally { Sys.Close((int)segment); }
        // MPI_Init has ended, so all ranks are restored, and have opened what they share where they can.
        if (WindowFile.AnyIncomplete(Meeting))
            throw new TrecrException(TrecrError.RestoreRefused, "its ranks share memory (MPI_Win_allocate_shared), and were not all started on one host");
    }

    /// <summary>The program has ended: so does MPI, before the launcher sees our end.</summary>
    private void EndMpi()
    {
        Mpi?.Dispose();
        Mpi = null;
    }
}
