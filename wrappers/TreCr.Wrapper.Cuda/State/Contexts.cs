using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Ring;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>Contexts of the process: reference counts of the primary ones, the others with device and flags. Under one lock, off hot paths.</summary>
internal static class Contexts
{
    public static readonly Lock Gate = new();

    private static readonly int[] PrimaryReferences = new int[SegmentLayout.MaxDevices];
    private static readonly uint[] PrimaryFlags = new uint[SegmentLayout.MaxDevices];
    private static readonly Dictionary<ulong, (int Device, uint Flags)> Created = [];

    public static ref int References(int device) => ref PrimaryReferences[device];

    public static ref uint Flags(int device) => ref PrimaryFlags[device];

    /// <summary>Device of a primary context's handle; -1: it is none of this session.</summary>
    public static int PrimaryDevice(ulong context)
        => VirtualHandle.KindOf(context) == HandleKind.Context && VirtualHandle.SerialOf(context) - 1 < (ulong)Devices.Count ? (int)VirtualHandle.SerialOf(context) - 1 : -1;

    /// <summary>Device and flags of a context.</summary>
    /// <returns>false: no such context</returns>
    public static bool TryFind(ulong context, out int device, out uint flags)
    {
        device = PrimaryDevice(context);
        if (device >= 0)
        {
            flags = PrimaryFlags[device];
            return true;
        }
        lock (Gate)
        {
            bool found = Created.TryGetValue(context, out (int Device, uint Flags) facts);
            (device, flags) = facts;
            return found;
        }
    }

    /// <summary>A context of the device: the primary one where it is retained.</summary>
    /// <returns>0: none</returns>
    public static ulong OnDevice(int device)
    {
        if (PrimaryReferences[device] > 0) return VirtualHandle.PrimaryContext(device);
        lock (Gate)
            foreach ((ulong context, (int its, _)) in Created)
                if (its == device) return context;
        return 0;
    }

    /// <summary>Waits for the work of all contexts, for what belongs to none.</summary>
    /// <returns>the current context's result; another one's failure is not the caller's</returns>
    public static unsafe CUresult Synchronize(ProgramThread* thread)
    {
        List<ulong> others = [];
        for (int device = 0; device < Devices.Count; device++)
            if (PrimaryReferences[device] > 0) others.Add(VirtualHandle.PrimaryContext(device));
        lock (Gate) others.AddRange(Created.Keys);
        foreach (ulong other in others)
        {
            if (other == thread->Context || !thread->Push(other)) continue;
            try { CudaContextCalls.Send_cuCtxSynchronize(thread, CallClass.Blocking); }
            finally { thread->Pop(); }
        }
        return CudaContextCalls.Send_cuCtxSynchronize(thread, CallClass.Blocking);
    }

    public static void Add(ulong context, int device, uint flags)
    {
        lock (Gate) Created[context] = (device, flags);
    }

    public static bool Remove(ulong context)
    {
        lock (Gate) return Created.Remove(context);
    }

    /// <summary>Ends what the wrapper keeps for a context: functions, and the local storage of libraries, whose destructors run here.</summary>
    public static void End(ulong context)
    {
        Functions.ForgetContext(context);
        Libraries.ForgetContext(context);
        Images.Images.ForgetContext(context);
        Images.ImageReferences.ForgetContext(context);
        Manual.StreamQuestions.ForgetContext(context);
        Manual.PeerAccess.ForgetContext(context);
        ContextLocalStorage.EndContext(context);
    }
}
