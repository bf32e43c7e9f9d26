using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Images;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: copies of a run of bytes to and from arrays, row by row. CUDA Driver API, "Memory Management".
internal static unsafe class ArrayCopies
{
    private const uint Host = 1, Device = 2, Array = 3;

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoH_v2")]
    public static CUresult AtoH(void* to, ulong array, nuint offset, nuint bytes) => Run(Host, (ulong)to, 0, Array, array, offset, bytes, CUstream.Default, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoH_v2_ptds")]
    public static CUresult AtoH_ptds(void* to, ulong array, nuint offset, nuint bytes) => Run(Host, (ulong)to, 0, Array, array, offset, bytes, CUstream.PerThread, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoHAsync_v2")]
    public static CUresult AtoHAsync(void* to, ulong array, nuint offset, nuint bytes, CUstream stream) => Run(Host, (ulong)to, 0, Array, array, offset, bytes, stream, true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoHAsync_v2_ptsz")]
    public static CUresult AtoHAsync_ptsz(void* to, ulong array, nuint offset, nuint bytes, CUstream stream) => Run(Host, (ulong)to, 0, Array, array, offset, bytes, PerThread.Of(stream), true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoA_v2")]
    public static CUresult HtoA(ulong array, nuint offset, void* from, nuint bytes) => Run(Array, array, offset, Host, (ulong)from, 0, bytes, CUstream.Default, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoA_v2_ptds")]
    public static CUresult HtoA_ptds(ulong array, nuint offset, void* from, nuint bytes) => Run(Array, array, offset, Host, (ulong)from, 0, bytes, CUstream.PerThread, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoAAsync_v2")]
    public static CUresult HtoAAsync(ulong array, nuint offset, void* from, nuint bytes, CUstream stream) => Run(Array, array, offset, Host, (ulong)from, 0, bytes, stream, true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyHtoAAsync_v2_ptsz")]
    public static CUresult HtoAAsync_ptsz(ulong array, nuint offset, void* from, nuint bytes, CUstream stream) => Run(Array, array, offset, Host, (ulong)from, 0, bytes, PerThread.Of(stream), true);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoD_v2")]
    public static CUresult AtoD(ulong to, ulong array, nuint offset, nuint bytes) => Run(Device, to, 0, Array, array, offset, bytes, CUstream.Default, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoD_v2_ptds")]
    public static CUresult AtoD_ptds(ulong to, ulong array, nuint offset, nuint bytes) => Run(Device, to, 0, Array, array, offset, bytes, CUstream.PerThread, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoA_v2")]
    public static CUresult DtoA(ulong array, nuint offset, ulong from, nuint bytes) => Run(Array, array, offset, Device, from, 0, bytes, CUstream.Default, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyDtoA_v2_ptds")]
    public static CUresult DtoA_ptds(ulong array, nuint offset, ulong from, nuint bytes) => Run(Array, array, offset, Device, from, 0, bytes, CUstream.PerThread, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoA_v2")]
    public static CUresult AtoA(ulong to, nuint toOffset, ulong from, nuint fromOffset, nuint bytes) => Run(Array, to, toOffset, Array, from, fromOffset, bytes, CUstream.Default, false);

    [UnmanagedCallersOnly(EntryPoint = "cuMemcpyAtoA_v2_ptds")]
    public static CUresult AtoA_ptds(ulong to, nuint toOffset, ulong from, nuint fromOffset, nuint bytes) => Run(Array, to, toOffset, Array, from, fromOffset, bytes, CUstream.PerThread, false);

    /// <summary>One end of a copy: what is left of the row at a place, for arrays.</summary>
    private readonly record struct End(uint Type, ulong Handle, ulong Offset, ulong RowBytes)
    {
        /// <summary>Bytes that lie on end from here.</summary>
        public ulong Run(ulong done) => Type == Array ? RowBytes - (Offset + done) % RowBytes : ulong.MaxValue;
    }

    private static CUresult Run(uint toType, ulong to, ulong toOffset, uint fromType, ulong from, ulong fromOffset, ulong bytes, CUstream stream, bool mayReturn)
    {
        CUresult result = Session.Enter(out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (!TryEnd(toType, to, toOffset, bytes, out End destination, out result) || !TryEnd(fromType, from, fromOffset, bytes, out End source, out result)) return result;
        for (ulong done = 0; done < bytes && result == CUresult.CUDA_SUCCESS;)
        {
            ulong run = Math.Min(bytes - done, Math.Min(destination.Run(done), source.Run(done)));
            CUDA_MEMCPY2D row = new() { WidthInBytes = run, Height = 1, SrcMemoryType = source.Type, DstMemoryType = destination.Type };
            if (source.Type == Array) (row.SrcArray, row.SrcXInBytes, row.SrcY) = (source.Handle, (source.Offset + done) % source.RowBytes, (source.Offset + done) / source.RowBytes);
            else row.SrcHost = row.SrcDevice = source.Handle + done;
            if (destination.Type == Array) (row.DstArray, row.DstXInBytes, row.DstY) = (destination.Handle, (destination.Offset + done) % destination.RowBytes, (destination.Offset + done) / destination.RowBytes);
            else row.DstHost = row.DstDevice = destination.Handle + done;
            result = Copies2D.Copy(&row, stream, mayReturn);
            done += run;
        }
        return result;
    }

    private static bool TryEnd(uint type, ulong handle, ulong offset, ulong bytes, out End end, out CUresult result)
    {
        result = CUresult.CUDA_SUCCESS;
        end = new End(type, handle, offset, 0);
        if (type != Array) return handle != 0 || Fail(CUresult.CUDA_ERROR_INVALID_VALUE, out result);
        if (Images.Images.Array(handle) is not { } found) return Fail(CUresult.CUDA_ERROR_INVALID_HANDLE, out result);
        ulong row = found.Shape.Width * found.TexelBytes, whole = row * Math.Max(1, found.Shape.Height);
        end = end with { RowBytes = row };
        return offset <= whole && bytes <= whole - offset || Fail(CUresult.CUDA_ERROR_INVALID_VALUE, out result);
    }

    private static bool Fail(CUresult why, out CUresult result)
    {
        result = why;
        return false;
    }
}
