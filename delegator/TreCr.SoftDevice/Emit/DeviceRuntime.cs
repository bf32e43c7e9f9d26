using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// What libcudadevrt (which nvlink adds to programs built with -rdc=true) needs of the driver, under the driver's names. A method's parameters are those of the function behind context and thread: 4 or 8 bytes by
/// value, larger ones by address. Streams and events have nothing to do: child grids run one after the other.
/// </summary>
static unsafe class DeviceRuntime
{
    /// <summary>What stands for a stream or event of a kernel; programs only hand it back.</summary>
    const ulong Handle = 0x10;

    static ChildLaunches Children(BlockContext* c) => KernelSupport.Runner(c).ChildLaunches;

    static void Store(BlockContext* c, int thread, ulong address, int bytes, ulong value)
    {
        if ((address & (ulong)(bytes - 1)) != 0 || !PageTable.IsAccessible(address, (ulong)bytes, true)) KernelSupport.AccessFault(c, thread, address, bytes);
        if (bytes == 8) *(ulong*)address = value;
        else *(uint*)address = (uint)value;
    }

    public static int cnpGetLastError(BlockContext* c, int thread) => c->Slots[thread].LastError;
    public static int cnpSetLastError(BlockContext* c, int thread, int error) => c->Slots[thread].LastError = error;

    public static ulong cnpGetParameterBufferV2(BlockContext* c, int thread, ulong function, Dim3* grid, Dim3* block, uint sharedBytes) => Children(c).NewBuffer(function, *grid, *block, sharedBytes);
    public static int cnpLaunchDeviceV2(BlockContext* c, int thread, ulong buffer, ulong stream) => Children(c).Launch(buffer);
    public static ulong cnpGetParameterBuffer(BlockContext* c, int thread, uint alignment, uint bytes) => Children(c).NewBuffer(0, default, default, 0);

    public static int cnpLaunchDevice(BlockContext* c, int thread, ulong function, ulong buffer, ulong grid, ulong block, uint sharedBytes, ulong stream)
        => Children(c).Launch(buffer, function, Read(c, thread, grid), Read(c, thread, block), sharedBytes);

    static Dim3 Read(BlockContext* c, int thread, ulong address)
    {
        if ((address & 3) != 0 || !PageTable.IsAccessible(address, (ulong)sizeof(Dim3))) KernelSupport.AccessFault(c, thread, address, 4);
        return *(Dim3*)address;
    }

    public static int cnpStreamCreate(BlockContext* c, int thread, ulong stream, uint flags) { Store(c, thread, stream, 8, Handle); return 0; }
    public static int cnpStreamDestroy(BlockContext* c, int thread, ulong stream) => 0;
    public static int cnpStreamWaitEvent(BlockContext* c, int thread, ulong stream, ulong waitedFor, uint flags) => 0;
    public static int cnpEventCreate(BlockContext* c, int thread, ulong created, uint flags) { Store(c, thread, created, 8, Handle); return 0; }
    public static int cnpEventRecord(BlockContext* c, int thread, ulong recorded, ulong stream) => 0;
    public static int cnpEventDestroy(BlockContext* c, int thread, ulong destroyed) => 0;

    // A kernel sees the device that it runs on as number 0 of one.
    public static int cnpGetDevice(BlockContext* c, int thread, ulong device) { Store(c, thread, device, 4, 0); return 0; }
    public static int cnpGetDeviceCount(BlockContext* c, int thread, ulong count) { Store(c, thread, count, 4, 1); return 0; }
    public static int cnpGetCacheConfig(BlockContext* c, int thread, ulong config) { Store(c, thread, config, 4, 0); return 0; }

    public static int cnpDeviceGetAttribute(BlockContext* c, int thread, ulong value, int attribute, int device)
    {
        if (device != 0) return ChildLaunches.InvalidDevice;
        if (KernelSupport.Runner(c).Kernel.Children!.DeviceAttribute(attribute) is not { } known) return ChildLaunches.InvalidValue;
        Store(c, thread, value, 4, (uint)known);
        return ChildLaunches.Success;
    }

    public static int cnpGetLimit(BlockContext* c, int thread, ulong value, int limit)
    {
        if (KernelSupport.Runner(c).Kernel.Children!.Limit(limit) is not { } known) return ChildLaunches.InvalidValue;
        Store(c, thread, value, 8, known);
        return ChildLaunches.Success;
    }

    public static int cnpGetSharedMemConfig(BlockContext* c, int thread, ulong config) { Store(c, thread, config, 4, 0); return 0; }
}
