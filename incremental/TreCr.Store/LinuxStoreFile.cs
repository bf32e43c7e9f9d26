using TreCr.Linux;

namespace TreCr.Store;

/// <summary>An open file of a store.</summary>
/// <param name="fd">owned</param><param name="path">for messages</param>
internal sealed unsafe class LinuxStoreFile(int fd, string path) : IStoreFile
{
    private int _fd = fd;

    ~LinuxStoreFile() => Sys.Close(Interlocked.Exchange(ref _fd, -1));

    /// <inheritdoc/>
    public bool IsLocal => true;

    /// <inheritdoc/>
    public long LengthBytes
    {
        get
        {
            try { return Sys.Fstat(_fd).LengthBytes; }
            catch (LinuxException e) { throw StoreException.FromErrno(e.ErrorNumber, e.Call, path); }
        }
    }

    /// <inheritdoc/>
    public int ReadAt(long offsetBytes, Span<byte> into)
    {
        int done = 0;
        fixed (byte* p = into)
        {
            while (done < into.Length)
            {
                long n = Sys.Pread(_fd, p + done, into.Length - done, offsetBytes + done);
                if (n < 0) throw StoreException.FromErrno((int)-n, "pread", path);
                if (n == 0) break;
                done += (int)n;
            }
        }
        GC.KeepAlive(this);
        return done;
    }

    /// <inheritdoc/>
    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        bool torn = StoreFault.At(FaultPoint.StoreWrite, path);
        if (torn) bytes = bytes[..(bytes.Length / 2)];
        fixed (byte* p = bytes)
        {
            int done = 0;
            while (done < bytes.Length)
            {
                long n = Sys.Pwrite(_fd, p + done, bytes.Length - done, offsetBytes + done);
                if (n <= 0) throw StoreException.FromErrno(n == 0 ? Errno.ENOSPC : (int)-n, "pwrite", path);
                done += (int)n;
            }
        }
        GC.KeepAlive(this);
        if (torn) throw StoreException.FromErrno(Errno.EIO, "pwrite", path);
    }

    /// <inheritdoc/>
    public void StartWriteback(long offsetBytes, long lengthBytes) => Sys.StartWriteback(_fd, offsetBytes, lengthBytes); // a hint: errors show at Sync

    /// <inheritdoc/>
    public void Sync()
    {
        StoreFault.At(FaultPoint.StoreSync, path);
        long r = Sys.Fsync(_fd);
        if (r < 0) throw StoreException.FromErrno((int)-r, "fsync", path);
    }

    public void Dispose()
    {
        Sys.Close(Interlocked.Exchange(ref _fd, -1));
        GC.SuppressFinalize(this);
    }
}
