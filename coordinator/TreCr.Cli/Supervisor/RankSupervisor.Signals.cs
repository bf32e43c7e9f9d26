using System.Runtime.InteropServices;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

// Signals and job control: what is sent to us is meant for the program.
internal sealed partial class RankSupervisor
{
    private static readonly int[] s_forwarded = [1, Sys.SIGINT, Sys.SIGQUIT, Sys.SIGUSR1, 12, Sys.SIGTERM];

    private void ForwardSignals()
    {
        foreach (int signal in s_forwarded) Register(signal, () =>
        {
            if (RestartBudget.IsOnPurpose(signal)) TellThatItIsEnded($"was ended with signal {signal}");
            Space.Signal(ProgramPid, signal);
        });
        Register(Sys.SIGCONT, Continue);
        Register(Sys.SIGWINCH, () => Streams.PassWindowSize());
        // Not given by a terminal of ours (that one is raw), but by kill(1) or a shell's suspend.
        Register(Sys.SIGTSTP, () => Space.Signal(ProgramPid, Sys.SIGSTOP));
    }

    private void Register(int signal, Action action) => _signals.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
    {
        context.Cancel = true;
        try { action(); }
        catch (Exception e) when (e is Process.Launch.LaunchException or LinuxException) { } // the job is ending
    }));

    /// <summary>
    /// The suspend key. The program's process group has no parent in its session, so the kernel would drop the terminal's SIGTSTP where it is not caught:
    /// then SIGSTOP does what was meant.
    /// </summary>
    private void OnSuspendTyped()
    {
        try
        {
            foreach (string line in File.ReadLines($"/proc/{ProgramHostPid}/status"))
                if (line.StartsWith("SigCgt:", StringComparison.Ordinal) || line.StartsWith("SigIgn:", StringComparison.Ordinal))
                    if ((Convert.ToUInt64(line[7..].Trim(), 16) >> (Sys.SIGTSTP - 1) & 1) != 0) return;
        }
        catch (IOException) { return; }
        try { Space.Signal(-ProgramPid, Sys.SIGSTOP); }
        catch (Process.Launch.LaunchException) { } // the job is ending
    }

    /// <summary>The program was stopped: stop too, so that the shell has its terminal back.</summary>
    private void OnProgramStopped()
    {
        if (!Streams.IsControllingTerminal) return;
        Streams.LeaveRawMode();
        Sys.Kill(0, Sys.SIGSTOP); // our process group, as the terminal would have done
    }

    private void Continue()
    {
        Streams.EnterRawMode();
        Streams.PassWindowSize();
        Space.Signal(-ProgramPid, Sys.SIGCONT);
    }

    /// <summary>Ends the program at once.</summary>
    public void KillProgram() => Sys.Raw(SyscallNumber.PidfdSendSignal, _program.Pidfd, Sys.SIGKILL);

    /// <param name="restartId">the job goes on from there; empty: it ends</param>
    private void StopProgram(int graceMs, string restartId)
    {
        try
        {
            if (restartId.Length > 0)
            {
                RollBack(restartId);
                return;
            }
            TellThatItIsEnded("was stopped");
            Space.Signal(ProgramPid, Sys.SIGTERM);
            Space.Signal(ProgramPid, Sys.SIGCONT);
            Span<PollEntry> ended = [new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }];
            if (Sys.Poll(ended, graceMs) == 0) KillProgram();
        }
        catch (Process.Launch.LaunchException) { } // it has ended
    }
}
