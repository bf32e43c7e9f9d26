using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TreCr.Linux;

namespace TreCr.Store;

/// <summary>
/// A new file that is written through a mapping, for byte-addressable memory (NVRAM, CXL) behind a file system with DAX: whole cache lines go past the caches with non-temporal stores, and a store fence makes them durable, with
/// no system call between two extents. On any other file system the same stores go to the page cache, and <see cref="Sync"/> has it written back.
/// </summary>
/// <remarks>
/// Any thread. Extents are allocated and touched before they are written, so that a full disk is an error and not SIGBUS. Source: mmap(2), MAP_SYNC; Intel, "Persistent Memory Programming": stores that bypass the cache are in the
/// persistence domain after SFENCE. .NET has no CLWB; lines that are only partly new are read, completed and stored whole.
/// </remarks>
internal sealed unsafe class MappedStoreFile : IStoreFile
{
    internal const int ExtentBytes = 16 << 20;

    private const int LineBytes = 64, MapSharedValidate = 3, MapSync = 0x80000;

    private readonly Lock _lock = new();
    private readonly LinuxStoreFile _file;
    private readonly int _fd;
    private readonly string _path;
    private (nint At, int Bytes)[] _extents = []; // all but the last have ExtentBytes; another array when one comes
    private long _length;
    private bool _trimmed, _closed;

    /// <param name="fd">of an empty file, open for reading and writing; owned</param><param name="path">for messages</param>
    /// <exception cref="StoreException">NoSpace, IO: the file system cannot allocate or map</exception>
    internal MappedStoreFile(int fd, string path)
    {
        (_fd, _path) = (fd, path);
        _file = new LinuxStoreFile(fd, path);
        try { Reserve(1); }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether stores reach the memory itself: the file system has DAX.</summary>
    internal bool IsPersistent { get; private set; }

    public long LengthBytes
    {
        get { lock (_lock) return _length; }
    }

    public int ReadAt(long offsetBytes, Span<byte> into)
        => _file.ReadAt(offsetBytes, into[..(int)Math.Clamp(LengthBytes - offsetBytes, 0, into.Length)]);

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        bool torn = StoreFault.At(FaultPoint.StoreWrite, _path);
        if (torn) bytes = bytes[..(bytes.Length / 2)];
        (nint At, int Bytes)[] extents;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_closed || _trimmed, this);
            if (offsetBytes + bytes.Length > _length) _length = offsetBytes + bytes.Length;
            Reserve(_length);
            extents = _extents;
        }
        for (int done = 0; done < bytes.Length;)
        {
            (nint at, int length) = extents[(int)((offsetBytes + done) / ExtentBytes)];
            int within = (int)((offsetBytes + done) % ExtentBytes), n = Math.Min(length - within, bytes.Length - done);
            fixed (byte* from = bytes[done..]) Store((byte*)at + within, from, n);
            done += n;
        }
        if (torn) throw StoreException.FromErrno(Errno.EIO, "store", _path);
    }

    /// <inheritdoc/>
    public void StartWriteback(long offsetBytes, long lengthBytes) => Sse.StoreFence();

    /// <summary>Makes all of it durable, and the file as long as what was written. Nothing can be written after it.</summary>
    public void Sync()
    {
        StoreFault.At(FaultPoint.StoreSync, _path);
        Sse.StoreFence();
        lock (_lock)
        {
            _trimmed = true;
            long r = Sys.Raw(SyscallNumber.Ftruncate, _fd, _length);
            if (r >= 0) r = Sys.Fsync(_fd); // of the file system: length and extents, and where there is no DAX the bytes
            if (r < 0) throw StoreException.FromErrno((int)-r, "fsync", _path);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_closed) return;
            _closed = true;
            foreach ((nint at, int length) in _extents) Sys.Munmap((ulong)at, (ulong)length);
            if (!_trimmed) Sys.Raw(SyscallNumber.Ftruncate, _fd, _length);
            _file.Dispose();
        }
    }

    /// <summary>Allocates and maps extents up to a length. Under the lock.</summary>
    private void Reserve(long length)
    {
        while ((_extents.Length == 0 ? 0 : (_extents.Length - 1) * (long)ExtentBytes + _extents[^1].Bytes) < length)
        {
            if (_extents.Length > 0 && _extents[^1].Bytes < ExtentBytes) throw StoreException.FromErrno(Errno.ENOSPC, "fallocate", _path); // the disk was nearly full already
            long start = _extents.Length * (long)ExtentBytes, bytes = ExtentBytes, r = Sys.Raw(SyscallNumber.Fallocate, _fd, 0, start, bytes);
            if (r == -Errno.ENOSPC)
            {
                bytes = (length - start + 4095) & ~4095L;
                r = bytes < ExtentBytes ? Sys.Raw(SyscallNumber.Fallocate, _fd, 0, start, bytes) : r;
            }
            if (r < 0) throw StoreException.FromErrno((int)-r, "fallocate", _path);
            long at = Sys.Mmap(0, (ulong)bytes, Sys.PROT_READ | Sys.PROT_WRITE, MapSharedValidate | MapSync, _fd, start);
            if (at >= 0) IsPersistent = true;
            else at = Sys.Mmap(0, (ulong)bytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, _fd, start);
            if (at < 0) throw StoreException.FromErrno((int)-at, "mmap", _path);
            Sys.Madvise((ulong)at, (ulong)bytes, Sys.MADV_POPULATE_WRITE);
            _extents = [.. _extents, ((nint)at, (int)bytes)];
        }
    }

    private void Store(byte* to, byte* from, int length)
    {
        int head = (int)((LineBytes - ((nint)to & (LineBytes - 1))) & (LineBytes - 1));
        if (head > 0 || length < LineBytes)
        {
            head = Math.Min(head > 0 ? head : length, length);
            StorePart(to, from, head);
            to += head;
            from += head;
            length -= head;
        }
        for (; length >= LineBytes; length -= LineBytes, to += LineBytes, from += LineBytes) StoreLine(to, from);
        if (length > 0) StorePart(to, from, length);
        Sse.StoreFence();
    }

    /// <summary>Stores a part of a line. Its neighbours may be another thread's.</summary>
    private void StorePart(byte* to, byte* from, int length)
    {
        byte* line = (byte*)((nint)to & ~(nint)(LineBytes - 1)), whole = stackalloc byte[LineBytes];
        lock (_lock)
        {
            new ReadOnlySpan<byte>(line, LineBytes).CopyTo(new Span<byte>(whole, LineBytes));
            new ReadOnlySpan<byte>(from, length).CopyTo(new Span<byte>(whole + (to - line), length));
            StoreLine(line, whole);
            Sse.StoreFence(); // before another thread reads the line
        }
    }

    private static void StoreLine(byte* to, byte* from)
    {
        Vector128.Load(from).StoreAlignedNonTemporal(to);
        Vector128.Load(from + 16).StoreAlignedNonTemporal(to + 16);
        Vector128.Load(from + 32).StoreAlignedNonTemporal(to + 32);
        Vector128.Load(from + 48).StoreAlignedNonTemporal(to + 48);
    }
}
