using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: which context may use which other's memory is kept here. All software devices lie in one process, whose kernels reach all of their memory; an access without
// cuCtxEnablePeerAccess, an error on a GPU, goes unnoticed there. Between GPUs peer access is not offered (copies are). CUDA Driver API, "Peer Context Memory Access".
internal static unsafe class PeerAccess
{
    private static readonly HashSet<(ulong From, ulong To)> Enabled = [];

    /// <summary>A device reaches another's memory.</summary>
    public static bool IsOffered(int device, int peer) => device != peer && Devices.IsSoft(device) && Devices.IsSoft(peer);

    /// <param name="peer">context whose memory the current one wants to use</param><param name="flags">0</param>
    [UnmanagedCallersOnly(EntryPoint = "cuCtxEnablePeerAccess")]
    public static CUresult Enable(CUcontext peer, uint flags)
    {
        CUresult result = Find(peer, out ulong own, out bool isOffered);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (flags != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!isOffered) return CUresult.CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
        lock (Enabled) return Enabled.Add((own, peer.Value)) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuCtxDisablePeerAccess")]
    public static CUresult Disable(CUcontext peer)
    {
        CUresult result = Find(peer, out ulong own, out _);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (Enabled) return Enabled.Remove((own, peer.Value)) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    }

    /// <summary>A context that ends takes its permissions with it, both ways.</summary>
    public static void ForgetContext(ulong context)
    {
        lock (Enabled) Enabled.RemoveWhere(e => e.From == context || e.To == context);
    }

    private static CUresult Find(CUcontext peer, out ulong own, out bool isOffered)
    {
        (own, isOffered) = (0, false);
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        own = thread->Context;
        if (peer.Value == own || !Contexts.TryFind(own, out int device, out _) || !Contexts.TryFind(peer.Value, out int other, out _)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        isOffered = IsOffered(device, other);
        return CUresult.CUDA_SUCCESS;
    }
}
