using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 8: begin and end, versions, clocks, errors, memory.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class EnvironmentCalls
{
    private const int ThreadMultiple = 3;

    /// <summary>What the program asked for; the wrapper can always give it.</summary>
    private static int s_threadLevel;
    private static int s_mainThread;

    public static void MPI_Init(int* argc, byte*** argv) => Start(0);

    public static void MPI_Init_thread(int* argc, byte*** argv, int required, int* provided)
    {
        Start(Math.Clamp(required, 0, ThreadMultiple));
        if (provided != null) *provided = s_threadLevel;
    }

    private static void Start(int level)
    {
        Lifetime.Start(level == ThreadMultiple);
        (s_threadLevel, s_mainThread) = (level, Sys.Gettid());
    }

    public static void MPI_Finalize() => Lifetime.EndWorld();

    public static void MPI_Initialized(int* flag) => *flag = Lifetime.World == LibraryState.None ? 0 : 1;

    public static void MPI_Finalized(int* flag) => *flag = Lifetime.World == LibraryState.Finalized ? 1 : 0;

    public static void MPI_Abort(Comm comm, int code) => Lifetime.Abort(code);

    public static void MPI_Query_thread(int* provided) => *provided = s_threadLevel;

    public static void MPI_Is_thread_main(int* flag) => *flag = Sys.Gettid() == s_mainThread ? 1 : 0;

    public static double MPI_Wtime() => Lifetime.Now;

    public static double MPI_Wtick() => 1e-9;

    public static void MPI_Get_version(int* version, int* subversion) => (*version, *subversion) = (3, 1);

    public static void MPI_Get_library_version(byte* text, int* length) => *length = Text.Write(text, "TreCr MPI wrapper, MPI 3.1", MpiAbi.MaxLibraryVersion);

    public static void MPI_Get_processor_name(byte* name, int* length) => *length = Text.Write(name, Environment.MachineName, MpiAbi.MaxProcessorName);

    public static void MPI_Error_class(int code, int* errorClass) => *errorClass = UserErrors.ClassOf(code);

    public static void MPI_Add_error_class(int* errorClass) => *errorClass = UserErrors.Add(0);

    public static void MPI_Add_error_code(int errorClass, int* code) => *code = UserErrors.Add(errorClass);

    public static void MPI_Add_error_string(int code, byte* text)
    {
        if (!UserErrors.IsOne(code)) throw new MpiException(ErrorClass.Arg, $"{code} is no code of the program");
        UserErrors.SetText(code, Text.Read(text));
    }

    public static void MPI_Error_string(int code, byte* text, int* length) => *length = Text.Write(text, UserErrors.TextOf(code) ?? ErrorTexts.Of(MpiAbi.ErrorOf(code)), MpiAbi.MaxErrorString);

    public static void MPI_Pcontrol(int level) { }

    // Extensions of both libraries: whether addresses of device memory may be given. They may, whatever library carries the messages.

    public static int MPIX_Query_cuda_support() => 1;

    public static int MPIX_Query_hip_support() => 0;

    public static int MPIX_Query_ze_support() => 0;

    public static void MPIX_GPU_query_support(int kind, int* supported)
    {
        if (kind is < 0 or > 2) throw new MpiException(ErrorClass.Arg, $"GPU type {kind}");
        *supported = kind == 0 ? 1 : 0; // MPIX_GPU_SUPPORT_CUDA
    }

    public static void MPI_Alloc_mem(nint bytes, nint info, nint* address)
    {
        if (bytes < 0) throw new MpiException(ErrorClass.Arg, "a negative size");
        *address = (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(1, bytes), 64);
    }

    public static void MPI_Free_mem(nint address) => NativeMemory.AlignedFree((void*)address);

    public static void MPI_Get_address(nint location, nint* address) => *address = location;

    public static void MPI_Address(nint location, nint* address) => *address = location;

    public static nint MPI_Aint_add(nint a, nint b) => a + b;

    public static nint MPI_Aint_diff(nint a, nint b) => a - b;
}

/// <summary>Texts for the program.</summary>
internal static unsafe class Text
{
    /// <summary>Writes a text with its NUL, cut to a buffer.</summary>
    /// <returns>length without the NUL</returns>
    public static int Write(byte* into, string text, int bufferBytes)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        int length = Math.Min(bytes.Length, bufferBytes - 1);
        bytes.AsSpan(0, length).CopyTo(new Span<byte>(into, length));
        into[length] = 0;
        return length;
    }

    /// <summary>Name of an object, cut to what the program's header allows.</summary>
    public static string ReadName(byte* text)
    {
        string name = Read(text);
        return name.Length < MpiAbi.MaxObjectName ? name : name[..(MpiAbi.MaxObjectName - 1)];
    }

    public static string Read(byte* text) => text == null ? throw new MpiException(ErrorClass.Arg, "a null pointer") : Marshal.PtrToStringUTF8((nint)text)!;
}
