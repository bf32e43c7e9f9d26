using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Cuda.Nvrtc;

// NVRTC's functions, each handed on to NVIDIA's library. The compiler itself needs no device and lives in the program, so a checkpoint has nothing to do with it; but programs ask it for machine
// code of the device that they found, which the software device does not run. There they get PTX in its place: cuModuleLoadData takes both. NVRTC documentation, "User Interface".
internal static unsafe class NvrtcCalls
{
    private static readonly Lock Gate = new();
    private static readonly HashSet<nint> AnsweredWithPtx = [];

    private static int Call(string name, nint a) => NvrtcLibrary.Function(name) is var f and not 0 ? ((delegate* unmanaged<nint, int>)f)(a) : NvrtcLibrary.Missing;

    private static int Call(string name, nint a, nint b) => NvrtcLibrary.Function(name) is var f and not 0 ? ((delegate* unmanaged<nint, nint, int>)f)(a, b) : NvrtcLibrary.Missing;

    private static int Call(string name, nint a, nint b, nint c) => NvrtcLibrary.Function(name) is var f and not 0 ? ((delegate* unmanaged<nint, nint, nint, int>)f)(a, b, c) : NvrtcLibrary.Missing;

    private static bool IsPtx(nint program)
    {
        lock (Gate) return AnsweredWithPtx.Contains(program);
    }

    private static void Mark(nint program, bool isPtx)
    {
        lock (Gate)
            if (isPtx) AnsweredWithPtx.Add(program); else AnsweredWithPtx.Remove(program);
    }

    [UnmanagedCallersOnly(EntryPoint = "nvrtcCompileProgram")]
    public static int CompileProgram(nint program, int count, byte** options)
    {
        nint real = NvrtcLibrary.Function("nvrtcCompileProgram");
        if (real == 0) return NvrtcLibrary.Missing;
        var compile = (delegate* unmanaged<nint, int, byte**, int>)real;
        nint[] texts = [];
        try
        {
            Mark(program, false);
            if (count <= 0 || options == null || !NvrtcArchitecture.IsSoftDevice || NvrtcArchitecture.Replace(count, options, Supported(), out bool wasMachine) is not { } replaced) return compile(program, count, options);
            texts = [.. replaced.Select(Marshal.StringToCoTaskMemUTF8)];
            int result;
            fixed (nint* list = texts) result = compile(program, count, (byte**)list);
            if (result == 0 && wasMachine) Mark(program, true);
            return result;
        }
        catch (Exception e)
        {
            Session.Failed("nvrtcCompileProgram"u8, e);
            return NvrtcLibrary.Missing;
        }
        finally
        {
            foreach (nint text in texts) Marshal.FreeCoTaskMem(text);
        }
    }

    /// <summary>Architectures that this NVRTC compiles for; empty before 11.2, which has no such question.</summary>
    private static int[] Supported()
    {
        int count = 0;
        if (Call("nvrtcGetNumSupportedArchs", (nint)(&count)) != 0 || count is <= 0 or > 1000) return [];
        int[] list = new int[count];
        fixed (int* p = list) return Call("nvrtcGetSupportedArchs", (nint)p) == 0 ? list : [];
    }

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetCUBINSize")]
    public static int GetCUBINSize(nint program, nint size) => Call(IsPtx(program) ? "nvrtcGetPTXSize" : "nvrtcGetCUBINSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetCUBIN")]
    public static int GetCUBIN(nint program, nint into) => Call(IsPtx(program) ? "nvrtcGetPTX" : "nvrtcGetCUBIN", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcDestroyProgram")]
    public static int DestroyProgram(nint* program)
    {
        if (program != null) Mark(*program, false);
        return Call("nvrtcDestroyProgram", (nint)program);
    }

    [UnmanagedCallersOnly(EntryPoint = "nvrtcCreateProgram")]
    public static int CreateProgram(nint program, nint source, nint name, int headers, nint contents, nint names)
        => NvrtcLibrary.Function("nvrtcCreateProgram") is var f and not 0 ? ((delegate* unmanaged<nint, nint, nint, int, nint, nint, int>)f)(program, source, name, headers, contents, names) : NvrtcLibrary.Missing;

    /// <returns>a text of the library; "" where it is missing</returns>
    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetErrorString")]
    public static nint GetErrorString(int result)
        => NvrtcLibrary.Function("nvrtcGetErrorString") is var f and not 0 ? ((delegate* unmanaged<int, nint>)f)(result) : (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference("\0"u8));

    [UnmanagedCallersOnly(EntryPoint = "nvrtcVersion")]
    public static int Version(nint major, nint minor) => Call("nvrtcVersion", major, minor);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetNumSupportedArchs")]
    public static int GetNumSupportedArchs(nint count) => Call("nvrtcGetNumSupportedArchs", count);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetSupportedArchs")]
    public static int GetSupportedArchs(nint list) => Call("nvrtcGetSupportedArchs", list);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetPTXSize")]
    public static int GetPTXSize(nint program, nint size) => Call("nvrtcGetPTXSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetPTX")]
    public static int GetPTX(nint program, nint into) => Call("nvrtcGetPTX", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetNVVMSize")]
    public static int GetNVVMSize(nint program, nint size) => Call("nvrtcGetNVVMSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetNVVM")]
    public static int GetNVVM(nint program, nint into) => Call("nvrtcGetNVVM", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetLTOIRSize")]
    public static int GetLTOIRSize(nint program, nint size) => Call("nvrtcGetLTOIRSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetLTOIR")]
    public static int GetLTOIR(nint program, nint into) => Call("nvrtcGetLTOIR", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetOptiXIRSize")]
    public static int GetOptiXIRSize(nint program, nint size) => Call("nvrtcGetOptiXIRSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetOptiXIR")]
    public static int GetOptiXIR(nint program, nint into) => Call("nvrtcGetOptiXIR", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetProgramLogSize")]
    public static int GetProgramLogSize(nint program, nint size) => Call("nvrtcGetProgramLogSize", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetProgramLog")]
    public static int GetProgramLog(nint program, nint into) => Call("nvrtcGetProgramLog", program, into);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcAddNameExpression")]
    public static int AddNameExpression(nint program, nint expression) => Call("nvrtcAddNameExpression", program, expression);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetLoweredName")]
    public static int GetLoweredName(nint program, nint expression, nint lowered) => Call("nvrtcGetLoweredName", program, expression, lowered);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcSetFlowCallback")]
    public static int SetFlowCallback(nint program, nint callback, nint payload) => Call("nvrtcSetFlowCallback", program, callback, payload);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetPCHHeapSize")]
    public static int GetPCHHeapSize(nint size) => Call("nvrtcGetPCHHeapSize", size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcSetPCHHeapSize")]
    public static int SetPCHHeapSize(nint size) => Call("nvrtcSetPCHHeapSize", size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetPCHHeapSizeRequired")]
    public static int GetPCHHeapSizeRequired(nint program, nint size) => Call("nvrtcGetPCHHeapSizeRequired", program, size);

    [UnmanagedCallersOnly(EntryPoint = "nvrtcGetPCHCreateStatus")]
    public static int GetPCHCreateStatus(nint program) => Call("nvrtcGetPCHCreateStatus", program);
}
