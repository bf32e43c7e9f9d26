using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: hints that a program reads back; they change no result. CUDA Driver API, "Stream Management", CUstreamAttrID.
internal static unsafe class StreamAttributes
{
    /// <summary>CUlaunchAttributeValue, bytes.</summary>
    private const int ValueBytes = 64;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<(ulong Stream, int Attribute), byte[]> Values = [];

    private static CUresult With(CUstream stream, Func<CUresult> body)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        uint flags;
        result = CudaStreamCalls.Send_cuStreamGetFlags(thread, stream, &flags); // the stream's existence is the delegator's to know
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            lock (Gate) return body();
        }
        catch (Exception e) { return Session.Failed("a stream attribute"u8, e); }
    }

    /// <summary>1 access policy window, 3 synchronization policy (1 auto .. 4 blocking).</summary>
    private static bool IsKnown(int attribute) => attribute is 1 or 3;

    private static CUresult Set(CUstream stream, int attribute, byte* value) => !IsKnown(attribute) || value == null ? CUresult.CUDA_ERROR_INVALID_VALUE : With(stream, () =>
    {
        if (attribute == 3 && *(int*)value is < 1 or > 4) return CUresult.CUDA_ERROR_INVALID_VALUE;
        Values[(stream.Value, attribute)] = new ReadOnlySpan<byte>(value, ValueBytes).ToArray();
        return CUresult.CUDA_SUCCESS;
    });

    private static CUresult Get(CUstream stream, int attribute, byte* value) => !IsKnown(attribute) || value == null ? CUresult.CUDA_ERROR_INVALID_VALUE : With(stream, () =>
    {
        Span<byte> into = new(value, ValueBytes);
        if (Values.TryGetValue((stream.Value, attribute), out byte[]? found)) found.CopyTo(into);
        else
        {
            into.Clear();
            if (attribute == 3) *(int*)value = 1;
        }
        return CUresult.CUDA_SUCCESS;
    });

    private static CUresult Copy(CUstream to, CUstream from) => With(from, () => With(to, () =>
    {
        foreach (int attribute in (int[])[1, 3])
            if (Values.TryGetValue((from.Value, attribute), out byte[]? found)) Values[(to.Value, attribute)] = found;
            else Values.Remove((to.Value, attribute));
        return CUresult.CUDA_SUCCESS;
    }));

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSetAttribute")]
    public static CUresult SetAttribute(CUstream stream, int attribute, byte* value) => Set(stream, attribute, value);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamSetAttribute_ptsz")]
    public static CUresult SetAttribute_ptsz(CUstream stream, int attribute, byte* value) => Set(PerThread.Of(stream), attribute, value);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetAttribute")]
    public static CUresult GetAttribute(CUstream stream, int attribute, byte* value) => Get(stream, attribute, value);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamGetAttribute_ptsz")]
    public static CUresult GetAttribute_ptsz(CUstream stream, int attribute, byte* value) => Get(PerThread.Of(stream), attribute, value);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCopyAttributes")]
    public static CUresult CopyAttributes(CUstream to, CUstream from) => Copy(to, from);

    [UnmanagedCallersOnly(EntryPoint = "cuStreamCopyAttributes_ptsz")]
    public static CUresult CopyAttributes_ptsz(CUstream to, CUstream from) => Copy(PerThread.Of(to), PerThread.Of(from));
}
