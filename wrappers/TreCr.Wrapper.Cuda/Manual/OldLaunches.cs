using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: the way to launch before CUDA 4.0, which PyCUDA still takes: block, shared memory and parameters belong to the function until its next launch.
// CUDA Driver API, "Execution Control [DEPRECATED]".
internal static unsafe class OldLaunches
{
    private sealed class Prepared
    {
        public uint X = 1, Y = 1, Z = 1, SharedBytes;
        public readonly byte[] Parameters = new byte[4096];
        public nuint ParameterBytes;
    }

    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, Prepared> Known = [];

    private static CUresult With(CUfunction function, Func<Prepared, CUresult> body)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (Functions.Find(function) == null) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        try
        {
            lock (Gate)
            {
                if (!Known.TryGetValue(function.Value, out Prepared? prepared)) Known[function.Value] = prepared = new Prepared();
                return body(prepared);
            }
        }
        catch (Exception e) { return Session.Failed("an old launch"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuFuncSetBlockShape")]
    public static CUresult SetBlockShape(CUfunction function, int x, int y, int z) => With(function, p =>
    {
        if (x <= 0 || y <= 0 || z <= 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        (p.X, p.Y, p.Z) = ((uint)x, (uint)y, (uint)z);
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuFuncSetSharedSize")]
    public static CUresult SetSharedSize(CUfunction function, uint bytes) => With(function, p =>
    {
        p.SharedBytes = bytes;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuParamSetSize")]
    public static CUresult SetSize(CUfunction function, uint bytes) => With(function, p =>
    {
        if (bytes > p.Parameters.Length) return CUresult.CUDA_ERROR_INVALID_VALUE;
        p.ParameterBytes = bytes;
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuParamSeti")]
    public static CUresult SetInteger(CUfunction function, int offset, uint value) => Set(function, offset, &value, 4);

    [UnmanagedCallersOnly(EntryPoint = "cuParamSetf")]
    public static CUresult SetFloat(CUfunction function, int offset, float value) => Set(function, offset, &value, 4);

    [UnmanagedCallersOnly(EntryPoint = "cuParamSetv")]
    public static CUresult SetBytes(CUfunction function, int offset, void* value, uint bytes) => Set(function, offset, value, bytes);

    private static CUresult Set(CUfunction function, int offset, void* value, uint bytes) => With(function, p =>
    {
        if (offset < 0 || value == null || (ulong)offset + bytes > (ulong)p.Parameters.Length) return CUresult.CUDA_ERROR_INVALID_VALUE;
        new ReadOnlySpan<byte>(value, (int)bytes).CopyTo(p.Parameters.AsSpan(offset));
        return CUresult.CUDA_SUCCESS;
    });

    [UnmanagedCallersOnly(EntryPoint = "cuLaunch")]
    public static CUresult Launch(CUfunction function) => Grid(function, 1, 1, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchGrid")]
    public static CUresult LaunchGrid(CUfunction function, int width, int height) => Grid(function, width, height, CUstream.Default);

    [UnmanagedCallersOnly(EntryPoint = "cuLaunchGridAsync")]
    public static CUresult LaunchGridAsync(CUfunction function, int width, int height, CUstream stream) => Grid(function, width, height, stream);

    private static CUresult Grid(CUfunction function, int width, int height, CUstream stream) => With(function, p =>
    {
        if (width <= 0 || height <= 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        fixed (byte* block = p.Parameters)
        {
            nuint bytes = p.ParameterBytes;
            ulong* extra = stackalloc ulong[] { 1, (ulong)block, 2, (ulong)&bytes, 0 };
            return Launches.Launch(function, (uint)width, (uint)height, 1, p.X, p.Y, p.Z, p.SharedBytes, stream, null, (void**)extra, 0);
        }
    });
}
