using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Graphs;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: one cooperative launch in a stream of each device, between two meetings of these streams. CUDA Driver API, "Execution Control", cuLaunchCooperativeKernelMultiDevice [DEPRECATED]. Kernels that meet
// across devices (multi_grid_group) are refused by the name of what they call, when their code is compiled.
internal static unsafe class MultiDeviceLaunches
{
    private const uint NoMeetingBefore = 1, NoMeetingAfter = 2, NoTiming = 2;

    /// <param name="launches">[count] CUDA_LAUNCH_PARAMS, with equal dimensions, each in a stream that the program made, on another device</param>
    /// <param name="flags">1 CUDA_COOPERATIVE_LAUNCH_MULTI_DEVICE_NO_PRE_LAUNCH_SYNC, 2 NO_POST_LAUNCH_SYNC</param>
    [UnmanagedCallersOnly(EntryPoint = "cuLaunchCooperativeKernelMultiDevice")]
    public static CUresult Launch(CUDA_LAUNCH_PARAMS* launches, uint count, uint flags)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        try
        {
            result = Check(launches, count, flags, out ulong[] contexts);
            if (result == CUresult.CUDA_SUCCESS && (flags & NoMeetingBefore) == 0) result = Meet(thread, launches, contexts);
            for (int n = 0; n < contexts.Length && result == CUresult.CUDA_SUCCESS; n++)
            {
                CUDA_LAUNCH_PARAMS l = launches[n];
                result = In(thread, contexts[n], () => Launches.Launch(l.Function, l.GridX, l.GridY, l.GridZ, l.BlockX, l.BlockY, l.BlockZ, l.SharedBytes, l.Stream, (void**)l.Parameters, null, 1));
            }
            return result == CUresult.CUDA_SUCCESS && (flags & NoMeetingAfter) == 0 ? Meet(thread, launches, contexts) : result;
        }
        catch (Exception e) { return Session.Failed("cuLaunchCooperativeKernelMultiDevice"u8, e); }
    }

    private static CUresult Check(CUDA_LAUNCH_PARAMS* launches, uint count, uint flags, out ulong[] contexts)
    {
        contexts = [];
        if (launches == null || count == 0 || count > (uint)Devices.Count || (flags & ~(NoMeetingBefore | NoMeetingAfter)) != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
        ulong[] found = new ulong[count];
        HashSet<int> devices = [];
        CUDA_LAUNCH_PARAMS first = launches[0];
        for (uint n = 0; n < count; n++)
        {
            CUDA_LAUNCH_PARAMS l = launches[n];
            if ((l.GridX, l.GridY, l.GridZ, l.BlockX, l.BlockY, l.BlockZ, l.SharedBytes) != (first.GridX, first.GridY, first.GridZ, first.BlockX, first.BlockY, first.BlockZ, first.SharedBytes)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (l.Stream.Value <= CUstream.PerThread.Value) return CUresult.CUDA_ERROR_INVALID_VALUE;
            found[n] = StreamQuestions.MadeIn(l.Stream);
            if (found[n] == 0 || !Contexts.TryFind(found[n], out int device, out _)) return CUresult.CUDA_ERROR_INVALID_HANDLE;
            if (!devices.Add(device)) return CUresult.CUDA_ERROR_INVALID_VALUE;
            if (StreamCapture.IsActive && StreamCapture.Spoils(l.Stream, out CUresult spoilt)) return spoilt;
            CUresult result = Launches.Check(ref l.Function, l.GridX, l.GridY, l.GridZ, l.BlockX, l.BlockY, l.BlockZ, l.SharedBytes, out _);
            if (result != CUresult.CUDA_SUCCESS) return result;
        }
        contexts = found;
        return CUresult.CUDA_SUCCESS;
    }

    private static CUresult In(ProgramThread* thread, ulong context, Func<CUresult> body)
    {
        if (!thread->Push(context)) return CUresult.CUDA_ERROR_OUT_OF_MEMORY;
        try { return body(); }
        finally { thread->Pop(); }
    }

    /// <summary>What is put into any of the streams from here on begins when all that is in them is done.</summary>
    private static CUresult Meet(ProgramThread* thread, CUDA_LAUNCH_PARAMS* launches, ulong[] contexts)
    {
        if (contexts.Length == 1) return CUresult.CUDA_SUCCESS;
        CUevent[] events = new CUevent[contexts.Length];
        CUresult result = CUresult.CUDA_SUCCESS;
        for (int n = 0; n < contexts.Length && result == CUresult.CUDA_SUCCESS; n++)
            result = In(thread, contexts[n], () =>
            {
                CUevent made = default;
                CUresult each = CudaEventCalls.Send_cuEventCreate(thread, &made, NoTiming);
                events[n] = made;
                return each == CUresult.CUDA_SUCCESS ? CudaEventCalls.Send_cuEventRecord(thread, CallClass.Enqueue, made, launches[n].Stream) : each;
            });
        for (int n = 0; n < contexts.Length && result == CUresult.CUDA_SUCCESS; n++)
            result = In(thread, contexts[n], () =>
            {
                CUresult each = CUresult.CUDA_SUCCESS;
                for (int other = 0; other < events.Length && each == CUresult.CUDA_SUCCESS; other++)
                    if (other != n) each = CudaStreamCalls.Send_cuStreamWaitEvent(thread, CallClass.Enqueue, launches[n].Stream, events[other], 0);
                return each;
            });
        for (int n = 0; n < events.Length; n++)
            if (events[n].Value != 0) In(thread, contexts[n], () => CudaEventCalls.Send_cuEventDestroy_v2(thread, CallClass.Answer, events[n]));
        return result;
    }
}
