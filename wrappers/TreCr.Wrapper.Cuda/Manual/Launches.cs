using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: sizes of arguments come from the loaded module. CUDA Driver API, "Execution Control".
// Everything the driver checks before it accepts a launch is checked here, because a launch is not waited for (cuda.md, sections 6.4 and 7.2).
internal static unsafe class Launches
{
    private const int MaxThreads = 1, MaxBlockX = 2, MaxBlockY = 3, MaxBlockZ = 4, MaxGridX = 5, MaxGridY = 6, MaxGridZ = 7;

    /// <summary>Longest parameter block, bytes (CUDA 12.1 and later; 4096 before).</summary>
    private const int MaxParameterBytes = 32764;

    private static int s_toldAttributes;

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernel")]
    public static CUresult LaunchKernel(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters, void** extra)
        => Launch(f, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernel_ptsz")]
    public static CUresult LaunchKernel_ptsz(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters, void** extra)
        => Launch(f, gx, gy, gz, bx, by, bz, shared, PerThread.Of(stream), parameters, extra, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchCooperativeKernel")]
    public static CUresult LaunchCooperative(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters)
        => Launch(f, gx, gy, gz, bx, by, bz, shared, stream, parameters, null, 1);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchCooperativeKernel_ptsz")]
    public static CUresult LaunchCooperative_ptsz(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters)
        => Launch(f, gx, gy, gz, bx, by, bz, shared, PerThread.Of(stream), parameters, null, 1);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernelEx")]
    public static CUresult LaunchKernelEx(CUlaunchConfig* config, CUfunction f, void** parameters, void** extra) => LaunchEx(config, f, parameters, extra, perThread: false);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchKernelEx_ptsz")]
    public static CUresult LaunchKernelEx_ptsz(CUlaunchConfig* config, CUfunction f, void** parameters, void** extra) => LaunchEx(config, f, parameters, extra, perThread: true);

    private static CUresult LaunchEx(CUlaunchConfig* config, CUfunction f, void** parameters, void** extra, bool perThread)
    {
        const int cooperative = 2, attributeBytes = 72;
        if (config == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        uint flags = 0;
        for (uint i = 0; i < config->NumAttrs; i++)
        {
            byte* attribute = (byte*)config->Attrs + i * attributeBytes;
            // 0 is CU_LAUNCH_ATTRIBUTE_IGNORE.
            if (*(uint*)attribute == 0) continue;
            if (*(uint*)attribute != cooperative) return Unsupported.Use(ref s_toldAttributes, "cuLaunchKernelEx"u8, "with a launch attribute other than COOPERATIVE"u8);
            if (*(int*)(attribute + 8) != 0) flags = 1;
        }
        CUstream stream = perThread ? PerThread.Of(config->Stream) : config->Stream;
        return Launch(f, config->GridDimX, config->GridDimY, config->GridDimZ, config->BlockDimX, config->BlockDimY, config->BlockDimZ, config->SharedMemBytes, stream,
            parameters, extra, flags);
    }

    [SkipLocalsInit]
    internal static CUresult Launch(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters, void** extra, uint flags)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (thread->Context == 0) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        CUresult result = Check(ref f, gx, gy, gz, bx, by, bz, shared, out FunctionFacts* facts);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (StreamCapture.IsActive && Node(f, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra, out result)) return result;
        if (Images.ImageReferences.IsPending && (result = Images.ImageReferences.Publish(thread)) != CUresult.CUDA_SUCCESS) return result;
        uint length = facts->ParameterBlockBytes;
        byte* block = stackalloc byte[length <= 4096 ? 4096 : MaxParameterBytes];
        if (extra != null) result = LayOutExtra(facts, parameters, extra, block);
        else if (facts->ParameterCount != 0) result = LayOut(facts, parameters, block);
        return result != CUresult.CUDA_SUCCESS ? result : CudaExecutionCalls.Send_trecrLaunchKernel(thread, f, gx, gy, gz, bx, by, bz, shared, stream, flags, block, length);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Node(CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, CUstream stream, void** parameters, void** extra, out CUresult result)
    {
        CUDA_KERNEL_NODE_PARAMS node = new()
        {
            Function = f, GridX = gx, GridY = gy, GridZ = gz, BlockX = bx, BlockY = by, BlockZ = bz, SharedBytes = shared, Parameters = (ulong)parameters, Extra = (ulong)extra,
        };
        CUDA_KERNEL_NODE_PARAMS* at = &node;
        return StreamCapture.Takes(stream, () => GraphNodeParams.Kernel(at, isFirstForm: false), out result);
    }

    private static bool Node(CUstream stream, void* function, void* userData, out CUresult result)
    {
        CUDA_HOST_NODE_PARAMS call = new() { Function = (ulong)function, UserData = (ulong)userData };
        CUDA_HOST_NODE_PARAMS* at = &call;
        return StreamCapture.Takes(stream, () => GraphNodeParams.Host(at), out result);
    }

    /// <summary>Function, dimensions and limits.</summary>
    /// <param name="f">a CUkernel becomes the function that it is in the current context</param>
    /// <param name="facts">null unless the result is success; its parameter block is no longer than MaxParameterBytes</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static CUresult Check(ref CUfunction f, uint gx, uint gy, uint gz, uint bx, uint by, uint bz, uint shared, out FunctionFacts* facts)
    {
        facts = Functions.Find(f);
        if (facts == null && (facts = Libraries.Find(ref f)) == null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        // Dimensions: unsigned, so that 0 wraps to more than any limit.
        DeviceFacts* device = Devices.Facts(0);
        if (gx - 1 >= (uint)device->Attributes[MaxGridX] || gy - 1 >= (uint)device->Attributes[MaxGridY] || gz - 1 >= (uint)device->Attributes[MaxGridZ]
            || bx - 1 >= (uint)device->Attributes[MaxBlockX] || by - 1 >= (uint)device->Attributes[MaxBlockY] || bz - 1 >= (uint)device->Attributes[MaxBlockZ])
            return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong threads = (ulong)bx * by * bz;
        if (threads > (uint)device->Attributes[MaxThreads]) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (threads > (uint)facts->MaxThreadsPerBlock) return CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
        if (shared > (uint)facts->MaxDynamicSharedBytes) return CUresult.CUDA_ERROR_INVALID_VALUE;
        return facts->ParameterCount > FunctionFacts.MaxParameters || facts->ParameterBlockBytes > MaxParameterBytes ? CUresult.CUDA_ERROR_NOT_SUPPORTED : CUresult.CUDA_SUCCESS;
    }

    /// <param name="parameters">the program's array, one address for each parameter</param><param name="block">[ParameterBlockBytes]</param>
    internal static CUresult LayOut(FunctionFacts* facts, void** parameters, byte* block)
    {
        if (parameters == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        uint count = facts->ParameterCount, length = facts->ParameterBlockBytes, filled = 0;
        for (uint i = 0; i < count; i++)
        {
            uint place = facts->Parameters[i], offset = place & 0xffff, size = place >> 16;
            byte* value = (byte*)parameters[i];
            if (value == null || offset + size > length) return CUresult.CUDA_ERROR_INVALID_VALUE;
            // Gaps between parameters would carry bytes of the stack into the record, and so into snapshots.
            while (filled < offset) block[filled++] = 0;
            switch (size)
            {
                case 8: *(ulong*)(block + offset) = *(ulong*)value; break;
                case 4: *(uint*)(block + offset) = *(uint*)value; break;
                default: Buffer.MemoryCopy(value, block + offset, size, size); break;
            }
            filled = offset + size;
        }
        while (filled < length) block[filled++] = 0;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Parameters in one buffer: extra = { 1, buffer, 2, size_t*, 0 }. Both forms together are CUDA_ERROR_INVALID_VALUE.</summary>
    /// <param name="block">[ParameterBlockBytes]</param>
    internal static CUresult LayOutExtra(FunctionFacts* facts, void** parameters, void** extra, byte* block)
    {
        if (parameters != null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        byte* buffer = null;
        nuint bytes = 0;
        for (int i = 0; extra[i] != null; i += 2)
            switch ((nuint)extra[i])
            {
                case 1: buffer = (byte*)extra[i + 1]; break;
                case 2: bytes = *(nuint*)extra[i + 1]; break;
                default: return CUresult.CUDA_ERROR_INVALID_VALUE;
            }
        if (buffer == null && bytes != 0 || bytes > MaxParameterBytes) return CUresult.CUDA_ERROR_INVALID_VALUE;
        // The buffer may be shorter than the block (unused tail) or padded longer.
        nuint length = facts->ParameterBlockBytes, copied = Math.Min(bytes, length);
        Buffer.MemoryCopy(buffer, block, copied, copied);
        new Span<byte>(block + copied, (int)(length - copied)).Clear();
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchHostFunc")]
    public static CUresult LaunchHostFunc(CUstream stream, void* function, void* userData) => HostFunction(stream, function, userData);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchHostFunc_ptsz")]
    public static CUresult LaunchHostFunc_ptsz(CUstream stream, void* function, void* userData) => HostFunction(PerThread.Of(stream), function, userData);

    internal static CUresult HostFunction(CUstream stream, void* function, void* userData)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (function == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (StreamCapture.IsActive && Node(stream, function, userData, out result)) return result;
        try { HostFunctionThread.Start(); }
        catch (LinuxException e) { return Session.Failed("cuLaunchHostFunc"u8, e); }
        return CudaExecutionCalls.Send_cuLaunchHostFunc(thread, CallClass.Enqueue, stream, (ulong)function, (ulong)userData);
    }

    // Occupancy without flags, and the search for a block size, which calls back into the program.

    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxActiveBlocksPerMultiprocessor")]
    public static CUresult MaxActiveBlocks(int* blocks, CUfunction f, int blockSize, nuint shared)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        return result != CUresult.CUDA_SUCCESS ? result
            : CudaModuleCalls.Send_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(thread, blocks, f, blockSize, shared, 0);
    }

    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxPotentialBlockSize")]
    public static CUresult MaxPotentialBlockSize(int* minGrid, int* blockSize, CUfunction f, delegate* unmanaged<int, nuint> sharedOf, nuint shared, int limit)
        => PotentialBlockSize(minGrid, blockSize, f, sharedOf, shared, limit, 0);

    [UnmanagedCallersOnly(EntryPoint = "cuOccupancyMaxPotentialBlockSizeWithFlags")]
    public static CUresult MaxPotentialBlockSizeWithFlags(int* minGrid, int* blockSize, CUfunction f, delegate* unmanaged<int, nuint> sharedOf, nuint shared, int limit, uint flags)
        => PotentialBlockSize(minGrid, blockSize, f, sharedOf, shared, limit, flags);

    /// <param name="sharedOf">dynamic shared memory as a function of the block size; NULL: <paramref name="shared"/> always</param>
    /// <param name="limit">largest block size the program can use; 0: any</param>
    private static CUresult PotentialBlockSize(int* minGrid, int* blockSize, CUfunction f, delegate* unmanaged<int, nuint> sharedOf, nuint shared, int limit, uint flags)
    {
        const int warp = 32, multiprocessors = 16, threadsPerMultiprocessor = 39;
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (minGrid == null || blockSize == null || limit < 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        FunctionFacts* facts = Functions.Find(f);
        if (facts == null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        int most = Math.Min(facts->MaxThreadsPerBlock, Devices.Attribute(0, MaxThreads));
        if (limit != 0) most = Math.Min(most, limit);
        int bestThreads = 0, bestBlocks = 0, bestSize = 0;
        for (int size = (most + warp - 1) / warp * warp; size > 0; size -= warp)
        {
            int tried = Math.Min(size, most), blocks = 0;
            result = CudaModuleCalls.Send_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(thread, &blocks, f, tried, sharedOf != null ? sharedOf(tried) : shared, flags);
            if (result != CUresult.CUDA_SUCCESS) return result;
            if (blocks * tried <= bestThreads) continue;
            (bestThreads, bestBlocks, bestSize) = (blocks * tried, blocks, tried);
            if (bestThreads == Devices.Attribute(0, threadsPerMultiprocessor)) break;
        }
        *minGrid = bestBlocks * Devices.Attribute(0, multiprocessors);
        *blockSize = bestSize;
        return CUresult.CUDA_SUCCESS;
    }
}
