using System.Text;
using TreCr.Linux;

namespace TreCr.Process.Read;

/// <summary>Small files of /proc, read whole with three system calls; a stop reads two for each thread.</summary>
internal static unsafe class ProcText
{
    private const int ChunkBytes = 4096;

    /// <exception cref="IOException">there is no such process any more</exception>
    /// <exception cref="UnauthorizedAccessException">it may not be looked at</exception>
    public static string Read(string path)
    {
        int fd = (int)Require(Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_CLOEXEC), path);
        try
        {
            byte* chunk = stackalloc byte[ChunkBytes];
            long n = Require(Sys.Read(fd, chunk, ChunkBytes), path);
            if (n < ChunkBytes)
            {
                // The files that are read here come whole with the first read where they fit.
                long more = Require(Sys.Read(fd, chunk + n, ChunkBytes - n), path);
                if (more == 0) return Encoding.UTF8.GetString(chunk, (int)n);
                n += more;
            }
            List<byte> all = [];
            for (; n > 0; n = Require(Sys.Read(fd, chunk, ChunkBytes), path)) all.AddRange(new ReadOnlySpan<byte>(chunk, (int)n));
            return Encoding.UTF8.GetString(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(all));
        }
        finally { Sys.Close(fd); }
    }

    private static long Require(long result, string path) => result >= 0 ? result
        : result is -Errno.EACCES or -Errno.EPERM ? throw new UnauthorizedAccessException($"{path}: {Errno.Describe((int)-result)}")
        : throw new IOException($"{path}: {Errno.Describe((int)-result)}");
}
