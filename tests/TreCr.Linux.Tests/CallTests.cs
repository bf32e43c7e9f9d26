using NUnit.Framework;

namespace TreCr.Linux.Tests;

/// <summary>What each wrapper does when the kernel refuses, and that it does its work otherwise.</summary>
public sealed unsafe class CallTests
{
    private const int NoDescriptor = 987_654, NoProcess = 0x3ffffff0; // above any pid_max
    private string _directory = "";

    [SetUp]
    public void SetUp() => _directory = Directory.CreateTempSubdirectory("trecr-linux-").FullName;

    [TearDown]
    public void TearDown() => Directory.Delete(_directory, true);

    private static void Throws(int errno, string call, TestDelegate action)
    {
        LinuxException e = Assert.Throws<LinuxException>(action)!;
        Assert.That((e.ErrorNumber, e.Call), Is.EqualTo((errno, call)));
        Assert.That(e.Message, Does.StartWith(call).And.Contains($"errno {errno}"));
    }

    [Test]
    public void Failures_that_are_thrown()
    {
        Throws(Errno.ENOENT, "open", () => Sys.Open($"{_directory}/no", Sys.O_RDONLY));
        Throws(Errno.EINVAL, "munmap", () => Sys.Munmap(1, 4096));
        Throws(Errno.EINVAL, "mprotect", () => Sys.Mprotect(1, 4096, Sys.PROT_READ));
        Throws(Errno.EBADF, "ftruncate", () => Sys.Ftruncate(NoDescriptor, 1));
        Throws(Errno.EBADF, "fstat", () => Sys.Fstat(NoDescriptor));
        Throws(Errno.EBADF, "fstatfs", () => Sys.FreeBytes(NoDescriptor));
        Throws(Errno.EBADF, "fcntl(F_DUPFD_CLOEXEC)", () => Sys.Duplicate(NoDescriptor));
        Throws(Errno.EINVAL, "memfd_create", () => Sys.MemfdCreate(new string('x', 250)));
    }

    [Test]
    public void Failures_that_are_returned()
    {
        byte b = 0;
        File.WriteAllText($"{_directory}/a", "");
        File.WriteAllText($"{_directory}/b", "");
        Assert.That(Sys.TryOpen($"{_directory}/no", Sys.O_RDONLY), Is.EqualTo(-Errno.ENOENT));
        Assert.That(Sys.TryOpen($"{_directory}/a/b", Sys.O_RDONLY), Is.EqualTo(-Errno.ENOTDIR));
        Assert.That(Sys.Kill(NoProcess, 0), Is.EqualTo(-Errno.ESRCH));
        Assert.That(Sys.PidfdOpen(NoProcess), Is.EqualTo(-Errno.ESRCH));
        Assert.That(Sys.Wait(NoProcess, Sys.WNOHANG, out _), Is.EqualTo(-Errno.ECHILD));
        Assert.That(Sys.Pread(NoDescriptor, &b, 1, 0), Is.EqualTo(-Errno.EBADF));
        Assert.That(Sys.Pwrite(NoDescriptor, &b, 1, 0), Is.EqualTo(-Errno.EBADF));
        Assert.That(Sys.Fsync(NoDescriptor), Is.EqualTo(-Errno.EBADF));
        Assert.That(Sys.ConnectUnix($"{_directory}/no"), Is.EqualTo(-Errno.ENOENT));
        Assert.That(Sys.MakeDirectoryAt(Sys.AT_FDCWD, $"{_directory}/a", 0x1C0), Is.EqualTo(-Errno.EEXIST));
        Assert.That(Sys.UnlinkAt(Sys.AT_FDCWD, $"{_directory}/no"), Is.EqualTo(-Errno.ENOENT));
        Assert.That(Sys.RenameAt(Sys.AT_FDCWD, $"{_directory}/a", $"{_directory}/b", flags: 1), Is.EqualTo(-Errno.EEXIST), "RENAME_NOREPLACE");
        Assert.That(Sys.Ptrace(Sys.PTRACE_SEIZE, Environment.ProcessId), Is.EqualTo(-Errno.EPERM));
        Assert.That(Sys.ProcessVmRead(Environment.ProcessId, 16, &b, 1), Is.EqualTo(-Errno.EFAULT));
        Assert.That(Sys.ReadLink($"{_directory}/a"), Is.Null);
    }

    [Test]
    public void A_lock_that_another_holds()
    {
        int first = Sys.Open($"{_directory}/lock", Sys.O_RDWR | Sys.O_CREAT, 0x180), second = Sys.Open($"{_directory}/lock", Sys.O_RDWR);
        Assert.That(Sys.Flock(first, Sys.LOCK_EX | Sys.LOCK_NB), Is.Zero);
        Assert.That(Sys.Flock(second, Sys.LOCK_EX | Sys.LOCK_NB), Is.EqualTo(-Errno.EAGAIN));
        Sys.Close(first);
        Assert.That(Sys.Flock(second, Sys.LOCK_EX | Sys.LOCK_NB), Is.Zero);
        Sys.Close(second);
    }

    [Test]
    public void Descriptors_pass_through_a_socket()
    {
        (int a, int b) = Sys.SocketPair();
        (int read, int write) = Sys.Pipe();
        Assert.That(Sys.Send(a, "x"u8, [write]), Is.EqualTo(1));
        Span<byte> bytes = stackalloc byte[8];
        Span<int> descriptors = stackalloc int[4];
        Assert.That(Sys.Receive(b, bytes, descriptors, out int count), Is.EqualTo(1));
        Assert.That((count, bytes[0]), Is.EqualTo((1, (byte)'x')));
        byte sent = 7, got = 0;
        Assert.That(Sys.Write(descriptors[0], &sent, 1), Is.EqualTo(1));
        Assert.That(Sys.Read(read, &got, 1), Is.EqualTo(1));
        Assert.That(got, Is.EqualTo(7));
        Assert.That(Sys.PeerCredentials(a).Pid, Is.EqualTo(Environment.ProcessId));
        foreach (int fd in (int[])[a, b, read, write, descriptors[0]]) Sys.Close(fd);
    }

    [Test]
    public void Poll_sees_what_is_ready_and_when_time_is_up()
    {
        int fd = Sys.EventFd();
        PollEntry[] entries = [new() { Fd = fd, Events = Sys.POLLIN }];
        Assert.That(Sys.Poll(entries, 0), Is.Zero);
        Sys.SignalEventFd(fd);
        Assert.That(Sys.Poll(entries, 10_000), Is.EqualTo(1));
        Assert.That(entries[0].Returned & Sys.POLLIN, Is.Not.Zero);
        Sys.Close(fd);
    }

    [Test]
    public void Facts_of_a_file_and_names_of_a_directory()
    {
        File.WriteAllText($"{_directory}/five", "12345");
        File.SetUnixFileMode($"{_directory}/five", UnixFileMode.UserRead);
        Assert.That(Sys.TryStat($"{_directory}/five", out FileFacts facts), Is.Zero);
        Assert.That((facts.LengthBytes, facts.Mode & 0x1ff, facts.UserId), Is.EqualTo((5L, 0x100u, Sys.EffectiveUserId())));
        int fd = Sys.Open(_directory, Sys.O_RDONLY | Sys.O_DIRECTORY);
        Assert.That(Sys.ListDirectory(fd), Is.EqualTo(new[] { "five" }));
        Assert.That(Sys.FreeBytes(fd), Is.GreaterThan(0));
        Sys.Close(fd);
        Assert.That(Sys.CanExecute($"{_directory}/five"), Is.False);
        Assert.That(Sys.CanExecute("/bin/sh"), Is.True);
    }

    [Test]
    public void A_child_by_a_table_of_calls()
    {
        using CloneTable table = new();
        table.AddExecute("/bin/sh", ["sh", "-c", "exit 43"], []);
        CloneResult child = table.Run();
        Assert.That(child.Succeeded, child.FailedStep);
        Assert.That(Sys.Wait(child.Pid, 0, out int status), Is.EqualTo(child.Pid));
        Assert.That(status >> 8, Is.EqualTo(43));
        Sys.Close(child.Pidfd);
        using CloneTable missing = new();
        missing.AddOptional("chdir", SyscallNumber.Chdir, missing.Text($"{_directory}/no"));
        missing.AddExecute($"{_directory}/no", ["no"], []);
        CloneResult failed = missing.Run();
        Assert.That((failed.Succeeded, failed.FailedStep, failed.ErrorNumber), Is.EqualTo((false, CloneTable.ExecuteStep, Errno.ENOENT)));
    }

    /// <summary>Kinds of TRECR_FAULT: what each does, and which points refuse it.</summary>
    [Test]
    public void Armed_faults_do_what_their_kind_says()
    {
        try
        {
            Fault.Arm("StoreWrite:2:torn");
            Assert.That(Fault.TearsAt(FaultPoint.StoreWrite), Is.False);
            Assert.That(Fault.TearsAt(FaultPoint.StoreWrite), Is.True);
            Assert.That(Fault.TearsAt(FaultPoint.StoreWrite), Is.False, "once");
            Fault.Arm("Store*:1:enospc");
            Throws(Errno.ENOSPC, "fault", () => Fault.At(FaultPoint.StoreSync));
            Fault.Arm("DumpState:errno");
            Throws(Errno.EIO, "fault", () => Fault.At(FaultPoint.DumpState));
            Fault.Arm("engine/DumpState:exception");
            Fault.At(FaultPoint.DumpState); // of another role
            Fault.Arm("DumpState:exception");
            Assert.Throws<FaultException>(() => Fault.At(FaultPoint.DumpState));
            Fault.Arm("*:1:killpeer");
            Fault.At(FaultPoint.DumpState); // no peer: does not count
            Assert.Throws<FormatException>(() => Fault.Arm("DumpState:torn"));
            Assert.Throws<FormatException>(() => Fault.Arm("RestoreStart:killpeer"));
            Assert.Throws<FormatException>(() => Fault.Arm("Nowhere:kill"));
            Assert.Throws<FormatException>(() => Fault.Arm("DumpState:sometimes"));
        }
        finally { Fault.Arm(null); }
    }
}
