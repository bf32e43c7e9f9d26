using NUnit.Framework;

namespace TreCr.Linux.Tests;

/// <summary>Memory that several ranks open.</summary>
public sealed unsafe class WindowFileTests
{
    private const long Bytes = 10_000;

    private readonly ulong _meeting = (ulong)Random.Shared.NextInt64();
    private readonly List<int> _open = [];

    [TearDown]
    public void Close()
    {
        foreach (int fd in _open) Sys.Close(fd);
        WindowFile.Remove(_meeting);
    }

    private int Join(string window, Action<int>? fill)
    {
        int fd = WindowFile.Join(_meeting, window, Bytes, fill);
        _open.Add(fd);
        return fd;
    }

    private static void Write(int fd, long value) => Assert.That(Sys.Pwrite(fd, &value, sizeof(long), 4000), Is.EqualTo(sizeof(long)));

    private static long Read(int fd)
    {
        long value = -1;
        Assert.That(Sys.Pread(fd, &value, sizeof(long), 4000), Is.EqualTo(sizeof(long)));
        return value;
    }

    [Test]
    public void FirstFillsIt_TheOthersFindWhatBecameOfIt_TheLastTakesItsName()
    {
        string window = WindowFile.Window(0x1234, 3), path = WindowFile.Path(_meeting, window);
        int first = Join(window, fd => Write(fd, 7));
        Assert.That(Read(first), Is.EqualTo(7));
        Write(first, 8); // it runs already
        int second = Join(window, _ => Assert.Fail("it is filled"));
        Assert.That(Read(second), Is.EqualTo(8));
        Assert.That(path, Does.Exist);
        Join(window, _ => Assert.Fail("it is filled"));
        Assert.That(path, Does.Not.Exist);
    }

    [Test]
    public void LeftHalfFilled_IsFilledAgain()
    {
        string window = WindowFile.Window(0x1234, 2);
        Assert.That(() => Join(window, fd =>
        {
            Write(fd, 3);
            throw new IOException("killed");
        }), Throws.InstanceOf<IOException>());
        Assert.That(Read(Join(window, fd => Assert.That(Read(fd), Is.Zero))), Is.Zero);
    }

    [Test]
    public void WhatIsNoWindow_IsNotTakenForOne()
    {
        string window = WindowFile.Window(ulong.MaxValue, 4);
        Assert.That(WindowFile.Of(WindowFile.Path(1, window) + " (deleted)"), Is.EqualTo(window));
        Assert.That(WindowFile.Of(WindowFile.Path(1, window)), Is.EqualTo(window));
        foreach (string path in (string[])["/dev/shm/other", "/tmp/trecr-window-0000000000000001-0000000000000002-4", "/dev/shm/trecr-window-1", "/dev/shm/trecr-window-0000000000000001-xyz-4", "/dev/shm/trecr-window-0000000000000001-0000000000000002-99999999999"])
            Assert.That(WindowFile.Of(path), Is.Empty, path);
        Assert.That(() => WindowFile.Join(_meeting, "../../etc/passwd", Bytes, null), Throws.ArgumentException);
        Assert.That(() => WindowFile.Join(_meeting, WindowFile.Window(1, 2), 0, null), Throws.ArgumentException);
    }
}
