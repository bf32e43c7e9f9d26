using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Process.Lazy;

/// <summary>
/// A process beside this engine that has the same table of open descriptors and does nothing. The userfaultfd of a child that is forked while pages are missing comes into the world in this table, as an
/// event is read: if the engine dies before anybody else holds it, the child's missing pages would be zeroes from then on. With the keeper they go on missing, until the supervisor has ended the child.
/// </summary>
/// <remarks>It ends with <see cref="End"/>, by who takes the dead engine's place (<see cref="EndOf"/>), or with the namespace. As it has the engine's connection too, an engine's death is to be seen by its pidfd.</remarks>
internal sealed class DescriptorKeeper
{
    private const int EndMs = 10_000;

    private readonly CloneResult _process;

    private DescriptorKeeper(CloneResult process) => _process = process;

    public int Pid => _process.Pid;

    /// <exception cref="LinuxException">no process can be made</exception>
    public static DescriptorKeeper Start()
    {
        using CloneTable table = new();
        table.AddOptional("pause", SyscallNumber.Pause); // all signals are blocked: it ends by SIGKILL
        // Beside the engine, far above the program's: whoever lists the program's processes knows an engine by that.
        int wanted = Environment.ProcessId >= InitProtocol.EngineFirstPid ? Environment.ProcessId + InitProtocol.KeeperDistance : 0;
        CloneResult process = table.RunBeside(wanted);
        if (!process.Succeeded && wanted != 0) process = table.RunBeside();
        if (!process.Succeeded) throw new LinuxException("clone3", process.ErrorNumber, "keeper of descriptors");
        return new DescriptorKeeper(process);
    }

    /// <summary>Every page is there.</summary>
    public void End()
    {
        Sys.Raw(SyscallNumber.PidfdSendSignal, _process.Pidfd, Sys.SIGKILL, 0, 0);
        Sys.Wait(_process.Pid, Sys.WALL, out _);
        Sys.Close(_process.Pidfd);
    }

    /// <summary>Of an engine that died: what the program needs is held by others. Waits until init has reaped it.</summary>
    public static void EndOf(int pid)
    {
        int pidfd = pid > 0 ? Sys.PidfdOpen(pid) : -1;
        if (pidfd < 0) return;
        if (Sys.ReadLink($"/proc/{pid}/exe") == Sys.ReadLink("/proc/self/exe"))
        {
            Sys.Raw(SyscallNumber.PidfdSendSignal, pidfd, Sys.SIGKILL, 0, 0);
            Sys.Poll([new PollEntry { Fd = pidfd, Events = Sys.POLLIN }], EndMs);
        }
        Sys.Close(pidfd);
    }
}
