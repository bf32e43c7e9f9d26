using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Manual;

// Hand-written: pieces are kept as they are and linked when the result is loaded (LinkedImage). CUDA Driver API, "Module Management": cuLink*.
internal static unsafe class Links
{
    private const int Cubin = 0, Ptx = 1, Fatbin = 2, InfoLogSize = 4, ErrorLogSize = 6;

    private static int s_toldType;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<ulong, Link> Known = [];
    private static ulong s_serial = VirtualHandle.FirstSerial;

    private sealed class Link
    {
        public List<byte[]> Pieces { get; } = [];

        /// <summary>What cuLinkComplete gave out; the program's until the link is destroyed.</summary>
        public nint Image { get; set; }
    }

    /// <summary>Nothing is compiled here: no log, no time.</summary>
    private static CUresult Options(uint count, int* options, void** values)
    {
        if (count != 0 && (options == null || values == null)) return CUresult.CUDA_ERROR_INVALID_VALUE;
        for (uint n = 0; n < count; n++)
            if (options[n] is InfoLogSize or ErrorLogSize or 2) values[n] = null;
        return CUresult.CUDA_SUCCESS;
    }

    // The unsuffixed names are separate symbols with the same 64-bit ABI; cuSPARSE takes them by dlsym.
    [UnmanagedCallersOnly(EntryPoint = "cuLinkCreate")]
    public static CUresult Create_v1(uint count, int* options, void** values, ulong* link) => Create(count, options, values, link);

    [UnmanagedCallersOnly(EntryPoint = "cuLinkCreate_v2")]
    public static CUresult Create_v2(uint count, int* options, void** values, ulong* link) => Create(count, options, values, link);

    private static CUresult Create(uint count, int* options, void** values, ulong* link)
    {
        CUresult result = Session.Enter(out _);
        if (result == CUresult.CUDA_SUCCESS) result = link == null ? CUresult.CUDA_ERROR_INVALID_VALUE : Options(count, options, values);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (Gate)
        {
            *link = VirtualHandle.Make(HandleKind.Link, s_serial++);
            Known[*link] = new Link();
        }
        return CUresult.CUDA_SUCCESS;
    }

    [UnmanagedCallersOnly(EntryPoint = "cuLinkAddData")]
    public static CUresult AddData_v1(ulong link, int type, byte* data, nuint bytes, byte* name, uint count, int* options, void** values) => Add(link, type, data, bytes, count, options, values);

    [UnmanagedCallersOnly(EntryPoint = "cuLinkAddData_v2")]
    public static CUresult AddData_v2(ulong link, int type, byte* data, nuint bytes, byte* name, uint count, int* options, void** values) => Add(link, type, data, bytes, count, options, values);

    [UnmanagedCallersOnly(EntryPoint = "cuLinkAddFile")]
    public static CUresult AddFile_v1(ulong link, int type, byte* path, uint count, int* options, void** values) => AddFile(link, type, path, count, options, values);

    [UnmanagedCallersOnly(EntryPoint = "cuLinkAddFile_v2")]
    public static CUresult AddFile_v2(ulong link, int type, byte* path, uint count, int* options, void** values) => AddFile(link, type, path, count, options, values);

    private static CUresult AddFile(ulong link, int type, byte* path, uint count, int* options, void** values)
    {
        if (path == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        byte[] bytes;
        try { bytes = File.ReadAllBytes(Marshal.PtrToStringUTF8((nint)path)!); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return CUresult.CUDA_ERROR_FILE_NOT_FOUND; }
        fixed (byte* data = bytes) return Add(link, type, data, (nuint)bytes.Length, count, options, values);
    }

    /// <summary>PTX and fat binaries with PTX; machine code and archives of it are refused by name.</summary>
    private static CUresult Add(ulong link, int type, byte* data, nuint bytes, uint count, int* options, void** values)
    {
        CUresult result = Session.Enter(out _);
        if (result == CUresult.CUDA_SUCCESS) result = data == null || bytes == 0 || bytes > int.MaxValue ? CUresult.CUDA_ERROR_INVALID_VALUE : Options(count, options, values);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (type is not (Ptx or Fatbin)) return type is < Cubin or > 6 ? CUresult.CUDA_ERROR_INVALID_VALUE : Unsupported.Use(ref s_toldType, "cuLinkAddData"u8, "of anything but PTX and fat binaries"u8);
        try
        {
            if (type == Fatbin)
            {
                // A wrapper struct may stand for it.
                byte* start = data;
                result = ImageLength.Find(ref start, out nuint length);
                if (result != CUresult.CUDA_SUCCESS) return result;
                data = start;
                bytes = length;
            }
            lock (Gate)
            {
                if (!Known.TryGetValue(link, out Link? found)) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                if (found.Image != 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
                found.Pieces.Add(new ReadOnlySpan<byte>(data, (int)bytes).ToArray());
            }
            return CUresult.CUDA_SUCCESS;
        }
        catch (Exception e) { return Session.Failed("cuLinkAddData"u8, e); }
    }

    /// <summary>Loads the result once, so that what does not fit together is told here.</summary>
    [UnmanagedCallersOnly(EntryPoint = "cuLinkComplete")]
    public static CUresult Complete(ulong link, void** image, nuint* bytes)
    {
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (image == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        try
        {
            lock (Gate)
            {
                if (!Known.TryGetValue(link, out Link? found)) return CUresult.CUDA_ERROR_INVALID_HANDLE;
                if (found.Image != 0 || found.Pieces.Count == 0) return CUresult.CUDA_ERROR_INVALID_VALUE;
                byte[] whole = LinkedImage.Make(found.Pieces);
                CUmodule tried = default;
                fixed (byte* at = whole) result = CudaModuleCalls.Send_trecrModuleLoad(thread, &tried, at, (nuint)whole.Length);
                if (result != CUresult.CUDA_SUCCESS) return result;
                CudaModuleCalls.Send_cuModuleUnload(thread, CallClass.Answer, tried);
                found.Image = (nint)NativeMemory.Alloc((nuint)whole.Length);
                Marshal.Copy(whole, 0, found.Image, whole.Length);
                *image = (void*)found.Image;
                if (bytes != null) *bytes = (nuint)whole.Length;
                return CUresult.CUDA_SUCCESS;
            }
        }
        catch (Exception e) { return Session.Failed("cuLinkComplete"u8, e); }
    }

    [UnmanagedCallersOnly(EntryPoint = "cuLinkDestroy")]
    public static CUresult Destroy(ulong link)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        lock (Gate)
        {
            if (!Known.Remove(link, out Link? gone)) return CUresult.CUDA_ERROR_INVALID_HANDLE;
            NativeMemory.Free((void*)gone.Image);
            return CUresult.CUDA_SUCCESS;
        }
    }
}
