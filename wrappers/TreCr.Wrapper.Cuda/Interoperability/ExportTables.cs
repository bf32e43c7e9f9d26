using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>
/// Tables of functions that NVIDIA's runtime library asks the driver for by UUID. Which exist, what their slots mean and what public sources that
/// knowledge has: docs/interoperability.md. The tables are native memory that lives as long as the process: their addresses are part of the start-up check.
/// </summary>
internal static unsafe class ExportTables
{
    private static readonly Lock Gate = new();
    private static void** s_runtime, s_hooks, s_threadStorage, s_contextStorage, s_integrity, s_tools;
    private static byte* s_zeroes;

    /// <summary>Addresses that the start-up check covers.</summary>
    internal static (nint RuntimeTable, nint IntegrityTable, nint IntegrityFunction) CheckedAddresses => ((nint)s_runtime, (nint)s_integrity, (nint)s_integrity[1]);

    /// <returns>CUDA_ERROR_INVALID_VALUE and a NULL table for one that is not known, as the driver answers</returns>
    public static CUresult Find(void** table, CUuuid* id)
    {
        if (table == null || id == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        lock (Gate)
        {
            if (s_runtime == null) Build();
        }
        *table = ByBytes(new ReadOnlySpan<byte>(id, 16));
        return *table == null ? CUresult.CUDA_ERROR_INVALID_VALUE : CUresult.CUDA_SUCCESS;
    }

    private static void** ByBytes(ReadOnlySpan<byte> id)
    {
        if (id.SequenceEqual<byte>([0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9])) return s_runtime;
        if (id.SequenceEqual<byte>([0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66])) return s_hooks;
        if (id.SequenceEqual<byte>([0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7, 0x8a, 0x3a, 0xec, 0xdc])) return s_threadStorage;
        if (id.SequenceEqual<byte>([0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93])) return s_contextStorage;
        if (id.SequenceEqual<byte>([0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2])) return s_integrity;
        if (id.SequenceEqual<byte>([0x21, 0x31, 0x8c, 0x60, 0x97, 0x14, 0x32, 0x48, 0x8c, 0xa6, 0x41, 0xff, 0x73, 0x24, 0xc8, 0xf2])) return s_tools;
        return null;
    }

    /// <summary>A table whose slot 0 is its size in bytes and whose other slots refuse until they are set.</summary>
    private static void** Table(int slots)
    {
        void** table = (void**)NativeMemory.AllocZeroed((nuint)slots, 8);
        table[0] = (void*)(slots * 8);
        for (int i = 1; i < slots; i++) table[i] = (delegate* unmanaged<CUresult>)&Refuse;
        return table;
    }

    private static void Build()
    {
        const int hookWords = 1024;
        s_zeroes = (byte*)NativeMemory.AllocZeroed(2 * hookWords, 8);
        s_hooks = Table(7);
        for (int i = 1; i < 7; i++) s_hooks[i] = (delegate* unmanaged<void>)&Nothing;
        s_hooks[2] = (delegate* unmanaged<void**, nuint*, void>)&CallbackWords;
        s_hooks[6] = (delegate* unmanaged<void**, nuint*, void>)&SpanWords;
        s_threadStorage = Table(3);
        s_threadStorage[2] = (delegate* unmanaged<CUcontext*, CUresult>)&CurrentContext;
        s_contextStorage = (void**)NativeMemory.AllocZeroed(4, 8);
        s_contextStorage[0] = (delegate* unmanaged<ulong, void*, void*, void*, CUresult>)&StoragePut;
        s_contextStorage[1] = (delegate* unmanaged<ulong, void*, CUresult>)&StorageDelete;
        s_contextStorage[2] = (delegate* unmanaged<void**, ulong, void*, CUresult>)&StorageGet;
        s_integrity = Table(3);
        s_integrity[1] = (delegate* unmanaged<uint, ulong, ulong*, CUresult>)&Handshake.Answer;
        s_integrity[2] = (delegate* unmanaged<CUresult>)&Accept;
        s_tools = Table(77);
        s_tools[4] = (delegate* unmanaged<CUcontext, ulong*, CUresult>)&ToolsContextId;
        s_tools[39] = (delegate* unmanaged<ulong, ulong, ulong*, CUresult>)&ToolsStreamId;
        s_tools[51] = (delegate* unmanaged<ulong, CUstream, ulong*, int, CUresult>)&ToolsStream;
        void** runtime = Table(11);
        runtime[1] = (delegate* unmanaged<CUmodule*, byte*, CUresult>)&LoadWrapper;
        runtime[2] = (delegate* unmanaged<CUcontext*, CUdevice, CUresult>)&PrimaryContextOf;
        runtime[6] = (delegate* unmanaged<CUmodule*, byte*, void*, void*, uint, CUresult>)&LoadWrapperWithOptions;
        runtime[7] = (delegate* unmanaged<void>)&Nothing;
        runtime[8] = (delegate* unmanaged<byte*, CUmodule*, void*, void*, uint, CUresult>)&LoadHeader;
        runtime[10] = null;
        s_runtime = runtime;
    }

    [UnmanagedCallersOnly]
    private static CUresult Refuse() => CUresult.CUDA_ERROR_NOT_SUPPORTED;

    [UnmanagedCallersOnly]
    private static CUresult Accept() => CUresult.CUDA_SUCCESS;

    /// <summary>Events for tools that are not there; also the notice that a fat binary goes, given a thousand times at exit.</summary>
    [UnmanagedCallersOnly]
    private static void Nothing() { }

    // Words that say which callbacks a tool wants. They are read at every runtime call, so they stay where they are and stay zero.

    [UnmanagedCallersOnly]
    private static void CallbackWords(void** words, nuint* count)
    {
        *words = s_zeroes;
        *count = 1024;
    }

    [UnmanagedCallersOnly]
    private static void SpanWords(void** words, nuint* count)
    {
        *words = s_zeroes + 8192;
        *count = 14;
    }

    [UnmanagedCallersOnly]
    private static CUresult CurrentContext(CUcontext* context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (context == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *context = new CUcontext(thread->Context);
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    private static CUresult StoragePut(ulong context, void* key, void* value, void* destructor) => ContextLocalStorage.Put(context, key, value, destructor);

    [UnmanagedCallersOnly]
    private static CUresult StorageDelete(ulong context, void* key) => ContextLocalStorage.Delete(context, key);

    [UnmanagedCallersOnly]
    private static CUresult StorageGet(void** value, ulong context, void* key) => ContextLocalStorage.Get(value, context, key);

    [UnmanagedCallersOnly]
    private static CUresult LoadWrapper(CUmodule* module, byte* wrapper) => Modules.Load(module, wrapper);

    [UnmanagedCallersOnly]
    private static CUresult LoadWrapperWithOptions(CUmodule* module, byte* wrapper, void* options, void* values, uint count)
        => count != 0 ? CUresult.CUDA_ERROR_NOT_SUPPORTED : Modules.Load(module, wrapper);

    [UnmanagedCallersOnly]
    private static CUresult LoadHeader(byte* header, CUmodule* module, void* options, void* values, uint count)
        => count != 0 ? CUresult.CUDA_ERROR_NOT_SUPPORTED : Modules.Load(module, header);

    /// <summary>The primary context's handle without making it active: it is fixed by rule.</summary>
    [UnmanagedCallersOnly]
    private static CUresult PrimaryContextOf(CUcontext* context, CUdevice device)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (context == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (!Devices.IsValid(device)) return CUresult.CUDA_ERROR_INVALID_DEVICE;
        *context = new CUcontext(Calls.VirtualHandle.PrimaryContext(device.Value));
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly]
    private static CUresult ToolsContextId(CUcontext context, ulong* id) => ContextStack.Id(context, id);

    /// <summary>A token for a stream: the stream's own handle, and for the default streams their number.</summary>
    [UnmanagedCallersOnly]
    private static CUresult ToolsStream(ulong context, CUstream stream, ulong* token, int perThread)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (stream.Value == ulong.MaxValue) return CUresult.CUDA_ERROR_INVALID_HANDLE;
        if (token == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *token = stream.Value > 2 ? stream.Value : stream.Value == 2 || stream.Value == 0 && perThread != 0 ? 2u : 1u;
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>A stable identity of the stream behind a token; per-thread default streams differ by thread.</summary>
    [UnmanagedCallersOnly]
    private static CUresult ToolsStreamId(ulong context, ulong token, ulong* identity)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (identity == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        *identity = token == 2 ? 1UL << 32 | (uint)Sys.Gettid() : Calls.VirtualHandle.SerialOf(token);
        return CUresult.CUDA_SUCCESS;
    }
}
