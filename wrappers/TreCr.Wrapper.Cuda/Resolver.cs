using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

/// <summary>Behind cuGetProcAddress. Contract as measured on driver 535 (facts/cuda-trace.md, section 1.2): works before cuInit, never asks the delegator.</summary>
internal static unsafe class Resolver
{
    private static void** s_normal;
    private static void** s_perThread;

    /// <param name="flags">0 and 1 legacy default stream, 2 per-thread; 3 is accepted as 2 is, more is CUDA_ERROR_INVALID_VALUE</param>
    /// <param name="status">may be null: 0 found, 1 no such name, 2 the name needs a higher version</param>
    /// <param name="isFirstForm">cuGetProcAddress without status: a miss is CUDA_ERROR_NOT_FOUND and leaves the pointer alone</param>
    public static CUresult Resolve(byte* symbol, void** function, int version, ulong flags, int* status, bool isFirstForm)
    {
        if (symbol == null || function == null || flags > 3) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (s_normal == null) Build();
        ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(symbol);
        bool perThread = (flags & 2) != 0;
        int row = FirstRow(name), best = -1;
        bool known = row >= 0;
        int end = row;
        bool hasVariants = false;
        for (; known && end < CudaNames.RowCount && NameOf(end).SequenceEqual(name); end++) hasVariants |= s_perThread[end] != null;
        for (; row < end; row++)
        {
            // Per-thread variants exist from CUDA 7.0 on, whatever the age of the name; versions of the name that never had one are then out of the question.
            if (perThread && hasVariants && (s_perThread[row] == null || version < 7000)) continue;
            if (CudaNames.Versions[row] <= version) best = row;
        }
        if (best >= 0)
        {
            *function = perThread && s_perThread[best] != null ? s_perThread[best] : s_normal[best];
            if (status != null) *status = 0;
            return CUresult.CUDA_SUCCESS;
        }
        if (isFirstForm) return CUresult.CUDA_ERROR_NOT_FOUND;
        *function = null;
        if (status != null) *status = known ? 2 : 1;
        return CUresult.CUDA_SUCCESS;
    }

    private static ReadOnlySpan<byte> NameOf(int row)
    {
        int start = CudaNames.Offsets[row], end = row + 1 < CudaNames.RowCount ? CudaNames.Offsets[row + 1] : CudaNames.Names.Length;
        return CudaNames.Names[start..(end - 1)];
    }

    /// <summary>First row of a name, by bisection; -1: none.</summary>
    private static int FirstRow(ReadOnlySpan<byte> name)
    {
        int low = 0, high = CudaNames.RowCount;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (NameOf(middle).SequenceCompareTo(name) < 0) low = middle + 1; else high = middle;
        }
        return low < CudaNames.RowCount && NameOf(low).SequenceEqual(name) ? low : -1;
    }

    private static void Build()
    {
        void** normal = (void**)NativeMemory.AllocZeroed(CudaNames.RowCount, 8), perThread = (void**)NativeMemory.AllocZeroed(CudaNames.RowCount, 8);
        CudaNames.Fill(normal, perThread);
        // Two first callers build the same twice; the order of the stores is what a reader relies on.
        s_perThread = perThread;
        Thread.MemoryBarrier();
        s_normal = normal;
    }
}
