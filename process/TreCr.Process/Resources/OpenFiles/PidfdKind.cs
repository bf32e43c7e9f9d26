using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>pidfd_open(2) of a process of the job, or of one that has ended and was reaped.</summary>
internal sealed class PidfdKind : OpenFileKind
{
    private const int PIDFD_THREAD = 0x80; // O_EXCL

    public override DescriptorKind Kind => DescriptorKind.Pidfd;

    public override bool NeedsProcesses => true;

    // "pidfd:[INODE]" on kernels with pidfs names.
    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[pidfd]" || d.Link.StartsWith("pidfd:", StringComparison.Ordinal);

    public override void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check)
    {
        foreach (OpenDescriptor d in uses)
            if (PidOf(d) is var pid and > 0 && !IsInside(check, pid)) check.Add($"{check.Where(d)} is a pidfd of process {pid}, which is not of the job");
    }

    /// <summary>A process of the job, or a thread of one, ended ones that wait to be reaped included: they are children of processes of the job.</summary>
    private static bool IsInside(TreeCheck check, int pid)
    {
        foreach (var (one, _) in check.Processes)
            if (one == pid || Directory.Exists($"/proc/{one}/task/{pid}")) return true;
        try { return ProcStatus.Read(pid) is { State: 'Z' } zombie && check.Processes.Any(p => p.Pid == zombie.Stat(4)); }
        catch (IOException) { return false; }
    }

    private static int PidOf(OpenDescriptor d) => int.TryParse(d.Value("Pid"), out int pid) ? pid : -1;

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Part().Pidfd = new PidfdImage { Pid = PidOf(d), Thread = (d.Flags & PIDFD_THREAD) != 0 };

    public override void Open(OpenFileImage image, OpenFileRestore files)
    {
        PidfdImage p = image.Object.Pidfd;
        long flags = (image.Flags & (uint)Sys.O_NONBLOCK) | (p.Thread ? PIDFD_THREAD : 0u);
        files.Set(image, p.Pid > 0 ? (int)Sys.Check(Sys.Raw(SyscallNumber.PidfdOpen, p.Pid, flags), "pidfd_open", $"pid {p.Pid}") : OfGone());
    }

    /// <summary>Of a process that was reaped: any other that was is as good.</summary>
    private static int OfGone()
    {
        using CloneTable table = new();
        table.Add("exit", SyscallNumber.Exit, 0);
        table.AddExecute("/", ["trecr-gone"], []);
        CloneResult gone = table.Run();
        if (gone.Pidfd < 0) throw new ProcessException($"cannot make a pidfd of a process that has ended: {gone.FailedStep}: {Errno.Describe(gone.ErrorNumber)}");
        Sys.Wait(gone.Pid, Sys.WALL, out _);
        return gone.Pidfd;
    }
}
