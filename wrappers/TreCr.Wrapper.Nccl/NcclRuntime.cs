using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Nccl;

/// <summary>What all calls share: errors, the last of them as text, and the context of the calling thread.</summary>
internal static unsafe class NcclRuntime
{
    private static readonly object s_lock = new();
    private static readonly Dictionary<string, nint> s_texts = [];
    private static nint s_lastError;
    [ThreadStatic] private static string? t_call;

    public static void Enter(string call) => t_call = call;

    public static void Leave()
    {
    }

    /// <returns>ncclResult_t</returns>
    public static int Failed(Exception e, object? owner)
    {
        NcclResult result = (e as NcclException)?.Result ?? NcclResult.InternalError;
        if (result == NcclResult.InProgress) return (int)result;
        Groups.Note(result);
        s_lastError = (nint)Text($"{t_call}: {e.Message}");
        bool isOurs = e is not NcclException;
        if (isOurs || Environment.GetEnvironmentVariable("NCCL_DEBUG") is { Length: > 0 }) StandardError.Write("trecr: NCCL: "u8, $"{t_call}: {(isOurs ? e.GetType().Name + ": " : "")}{e.Message}");
        return (int)result;
    }

    /// <summary>ncclGetLastError; lives for ever.</summary>
    public static byte* LastError => s_lastError == 0 ? Text("") : (byte*)s_lastError;

    /// <summary>A text in C's form; equal ones are one.</summary>
    public static byte* Text(string text)
    {
        lock (s_lock)
        {
            if (s_texts.TryGetValue(text, out nint known)) return (byte*)known;
            if (s_texts.Count > 1000) return (byte*)s_texts.Values.First(); // a program that makes mistakes without end
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            byte* at = (byte*)NativeMemory.AllocZeroed((nuint)bytes.Length + 1);
            bytes.CopyTo(new Span<byte>(at, bytes.Length));
            s_texts[text] = (nint)at;
            return at;
        }
    }

    /// <summary>Turns an error of CUDA into one of NCCL.</summary>
    public static void Check(CUresult result, string what)
    {
        if (result == CUresult.CUDA_SUCCESS) return;
        NcclResult error = result switch
        {
            CUresult.CUDA_ERROR_INVALID_VALUE or CUresult.CUDA_ERROR_INVALID_HANDLE => NcclResult.InvalidArgument,
            CUresult.CUDA_ERROR_NOT_SUPPORTED => NcclResult.InvalidUsage,
            CUresult.CUDA_ERROR_OPERATING_SYSTEM => NcclResult.SystemError,
            _ => NcclResult.UnhandledCudaError,
        };
        if (result == CUresult.CUDA_ERROR_NOT_SUPPORTED && Interlocked.Exchange(ref s_refused, 1) == 0)
            StandardError.Write("trecr: NCCL: communicators are not supported on this device: only on the software device (docs/nccl.md)\n"u8);
        throw new NcclException(error, $"{what}: {result}");
    }

    private static int s_refused;

    public static void Require(bool holds, string what)
    {
        if (!holds) throw new NcclException(NcclResult.InvalidArgument, what);
    }

    /// <summary>The calling thread's channel.</summary>
    public static ProgramThread* Thread
    {
        get
        {
            ProgramThread* thread = WrapperRuntime.Enter();
            if (thread != null) return thread;
            delegate* unmanaged<uint, CUresult> init = &Initialization.Init;
            Check(init(0), "cuInit");
            thread = WrapperRuntime.Enter();
            if (thread == null) Check(WrapperRuntime.EnterError(), "session");
            return thread;
        }
    }

    /// <summary>The context that the calling thread works in. A program of the runtime API may not have made it yet: then its runtime is asked to.</summary>
    public static ulong CurrentContext
    {
        get
        {
            ProgramThread* thread = Thread;
            if (thread->Context != 0) return thread->Context;
            delegate* unmanaged<void*, int> free = (delegate* unmanaged<void*, int>)Sys.FindSymbol("cudaFree");
            if (free != null) free(null);
            return thread->Context != 0 ? thread->Context : PrimaryContext(0);
        }
    }

    public static ulong PrimaryContext(int device)
    {
        _ = Thread;
        CUcontext context;
        Check(ContextLife.Retain(&context, new CUdevice(device)), $"context of device {device}");
        return context.Value;
    }
}
