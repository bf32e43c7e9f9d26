using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.Wrapper.Runtime;

/// <summary>The connection of this program image with its delegator: made at the first cuInit, ended by exit, exec or the delegator's death.</summary>
public static unsafe class ProgramSession
{
    private static readonly Lock StartLock = new();
    private static int s_atExit;

    /// <summary>The mapped segment; null before the session runs.</summary>
    public static Segment? Segment { get; private set; }

    /// <summary>Descriptor of the connection; -1 before the session runs.</summary>
    public static int Connection { get; private set; } = -1;

    /// <summary>Connects, maps the segment and the pinned arena, reserves the device slots.</summary>
    /// <returns>what cuInit shall answer</returns>
    /// <remarks>Any thread; blocks until the delegator has answered or closed. A second call answers as the first did.</remarks>
    public static CUresult Start()
    {
        lock (StartLock)
        {
            switch (SharedState.State)
            {
                case SessionState.Running: return CUresult.CUDA_SUCCESS;
                case SessionState.Ended: return CUresult.CUDA_ERROR_DEINITIALIZED;
                case SessionState.Lost: return CUresult.CUDA_ERROR_LAUNCH_FAILED;
            }
            // A forked child of a program that has a session: the driver answers the same.
            if (Segment != null) return CUresult.CUDA_ERROR_NOT_INITIALIZED;
            byte* path = Sys.GetEnvironment("TRECR_SESSION\0"u8);
            if (path == null)
            {
                StandardError.Write("trecr: TRECR_SESSION is not set: this libcuda.so.1 serves programs started with 'trecr run -- PROGRAM'; answering CUDA_ERROR_NO_DEVICE\n"u8);
                return CUresult.CUDA_ERROR_NO_DEVICE;
            }
            try { return Connect(Marshal.PtrToStringUTF8((nint)path)!); }
            catch (LinuxException e)
            {
                StandardError.Write("trecr: cuInit: "u8, e.Message);
                return e.Call == "mmap of device range" ? CUresult.CUDA_ERROR_OUT_OF_MEMORY : CUresult.CUDA_ERROR_SYSTEM_NOT_READY;
            }
        }
    }

    private static CUresult Connect(string path)
    {
        // Before the delegator hears of it: a connection that ends stands for the end of the program.
        if (IsTaken(SegmentLayout.PinnedBase))
        {
            StandardError.Write("trecr: cuInit: another copy of libcuda.so.1 in this process has the session (or something else lies at its addresses): one file, under any names, serves a process: CUDA_ERROR_OUT_OF_MEMORY\n"u8);
            return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        }
        long connected = Sys.ConnectUnix(path);
        if (connected < 0) throw new LinuxException("connect", (int)-connected, path);
        int connection = AboveTheProgram((int)connected);
        SessionHello hello = new() { Magic = SegmentLayout.Magic, ProtocolVersion = SegmentLayout.ProtocolVersion, Pid = (int)Sys.RawShort(SyscallNumber.Getpid), ConnectionDescriptor = connection };
        Sys.Check(Sys.Send(connection, MemoryMarshal.AsBytes(new ReadOnlySpan<SessionHello>(in hello))), "send", path);
        SessionWelcome welcome = default;
        Span<int> descriptors = stackalloc int[2];
        long came = Sys.Check(Sys.Receive(connection, MemoryMarshal.AsBytes(new Span<SessionWelcome>(ref welcome)), descriptors, out int count), "recv", path);
        if (came < sizeof(SessionWelcome) || welcome.Magic != SegmentLayout.Magic || welcome.ProtocolVersion != SegmentLayout.ProtocolVersion)
        {
            for (int i = 0; i < count; i++) Sys.Close(descriptors[i]);
            Sys.Close(connection);
            StandardError.Write(came == 0 ? "trecr: cuInit: the delegator could not be started (trecr logs says why)\n"u8 : "trecr: cuInit: the delegator speaks another version of the protocol\n"u8);
            return CUresult.CUDA_ERROR_SYSTEM_NOT_READY;
        }
        if (welcome.InitResult != 0 || count < 2)
        {
            for (int i = 0; i < count; i++) Sys.Close(descriptors[i]);
            Sys.Close(connection);
            return welcome.InitResult != 0 ? (CUresult)welcome.InitResult : CUresult.CUDA_ERROR_SYSTEM_NOT_READY;
        }
        Segment segment = Segment.Map(descriptors[0], dontFork: true);
        MapAt(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE, descriptors[1], "pinned arena");
        // Whoever shared it could write where nobody watches: the delegator finds out what was written by two mappings, its own and this one.
        Sys.Check(Sys.Madvise(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.MADV_DONTFORK), "madvise", "pinned arena");
        for (uint device = 0; device < welcome.DeviceCount && device < SegmentLayout.MaxDevices; device++)
            MapAt(SegmentLayout.DeviceBase + device * SegmentLayout.DeviceSlotBytes, SegmentLayout.DeviceSlotBytes, Sys.PROT_NONE,
                Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE, -1, $"device slot {device}");
        Sys.Close(descriptors[0]);
        Sys.Close(descriptors[1]);
        segment.Header->ConnectionDescriptor = connection;
        WrapperRuntime.Prepare();
        Segment = segment;
        Connection = connection;
        MaskFinalizerThread();
        if (Interlocked.Exchange(ref s_atExit, 1) == 0) Sys.AtExit(&ProcessExits);
        SharedState.State = SessionState.Running;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Moves a descriptor to a number that programs do not count on (shells and daemons close or reuse small ones).</summary>
    private static int AboveTheProgram(int fd)
    {
        try
        {
            int high = Sys.Duplicate(fd, 100);
            Sys.Close(fd);
            return high;
        }
        // RLIMIT_NOFILE below 100: any number serves.
        catch (LinuxException) { return fd; }
    }

    private static bool IsTaken(ulong address)
    {
        const ulong page = 4096;
        long got = Sys.Mmap(address, page, Sys.PROT_NONE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, -1);
        if (got > 0) Sys.Munmap((ulong)got, page);
        return (ulong)got != address;
    }

    private static void MapAt(ulong address, ulong bytes, int protection, int flags, int fd, string what)
    {
        long got = Sys.Mmap(address, bytes, protection, flags | Sys.MAP_FIXED_NOREPLACE, fd);
        if (got < 0) throw new LinuxException("mmap of device range", (int)-got, $"({what}, 0x{address:x}, {bytes >> 30} GiB)");
        if ((ulong)got != address)
        {
            // Kernels before 4.17 take the address as a hint only.
            Sys.Munmap((ulong)got, bytes);
            throw new LinuxException("mmap of device range", Errno.EEXIST, $"({what}, 0x{address:x}, {bytes >> 30} GiB)");
        }
    }

    // The runtime's finalizer thread has an empty signal mask: the kernel might deliver the program's signals there.
    private sealed class MaskedThread
    {
        ~MaskedThread() => Sys.BlockProgramSignals();
    }

    private static void MaskFinalizerThread()
    {
        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static void Drop() => _ = new MaskedThread();
        Drop();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    [UnmanagedCallersOnly]
    private static void ProcessExits(void* unused)
    {
        if (SharedState.State == SessionState.Running) SharedState.State = SessionState.Ended;
        WrapperRuntime.Leave();
    }
}
