using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Linux;

namespace TreCr.Wrapper.Cuda;

/// <summary>
/// What a program carries to another process: CUipcMemHandle, CUipcEventHandle, CUmemPoolPtrExportData, and the content of the file behind an exported descriptor. A token of ours, which means the same after a restart.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal unsafe struct ShareHandle
{
    public const int Bytes = 64;
    private const ulong ThisMagic = 0x31_45_52_41_48_53_52_54; // "TRSHARE1"

    public ulong Magic;
    public Kinds Kind;

    /// <summary>Of a pool: its device.</summary>
    public int Device;

    public ulong TokenLow, TokenHigh;

    public enum Kinds : uint { Memory = 1, Event = 2, Physical = 3, Pool = 4, PoolPointer = 5 }

    public ShareHandle(Kinds kind, ulong low, ulong high)
    {
        (Magic, Kind, Device, TokenLow, TokenHigh) = (ThisMagic, kind, 0, low, high);
    }

    public static ShareHandle New(Kinds kind)
    {
        ulong* words = stackalloc ulong[2];
        Sys.Check(Sys.Raw(SyscallNumber.Getrandom, (long)words, 16, 0), "getrandom");
        return new ShareHandle(kind, words[0], words[1]);
    }

    public readonly bool Is(Kinds kind) => Magic == ThisMagic && Kind == kind;

    /// <summary>A file descriptor that carries it: an ordinary memfd, so that it can be passed on, and comes back with the program.</summary>
    public readonly int ToDescriptor()
    {
        int fd = Sys.MemfdCreate("trecr-shared");
        ShareHandle copy = this;
        Sys.WriteAt(fd, new ReadOnlySpan<byte>(&copy, Bytes), 0);
        return fd;
    }

    /// <returns>false: the descriptor carries none of that kind</returns>
    public static bool TryRead(int fd, Kinds kind, out ShareHandle handle)
    {
        ShareHandle read = default;
        bool isOne = false;
        try { isOne = Sys.ReadAt(fd, new Span<byte>(&read, Bytes), 0) == Bytes && read.Is(kind); }
        catch (LinuxException) { } // not open, or a pipe
        handle = read;
        return isOne;
    }
}
