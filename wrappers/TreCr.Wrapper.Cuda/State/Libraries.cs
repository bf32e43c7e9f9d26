using System.Text;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>
/// Libraries: images that become a module in each context in which something of them is used. The image lies in the program's memory; modules and functions are
/// the context's, as if the program had loaded them.
/// </summary>
internal static unsafe class Libraries
{
    /// <summary>One image and its modules by context.</summary>
    public sealed class CudaLibrary(ulong handle, byte[] image)
    {
        public ulong Handle => handle;

        /// <summary>Pinned; some zero bytes behind the image.</summary>
        public byte[] Image => image;
        public Dictionary<ulong, ulong> Modules { get; } = [];
        public Dictionary<string, CudaKernel> Kernels { get; } = [];
    }

    /// <summary>One name of a library.</summary>
    public sealed class CudaKernel(ulong handle, CudaLibrary library, string name)
    {
        public ulong Handle => handle;
        public CudaLibrary Library => library;
        public string Name => name;
        public Dictionary<ulong, ulong> Functions { get; } = [];
    }

    /// <summary>Over everything here; taken again by the same thread when a module is loaded.</summary>
    public static readonly Lock Gate = new();

    private static readonly Dictionary<ulong, object> Known = [];
    private static ulong s_serial = VirtualHandle.FirstSerial;

    public static CudaLibrary? Library(ulong handle) => Known.GetValueOrDefault(handle) as CudaLibrary;

    public static CudaKernel? Kernel(ulong handle) => Known.GetValueOrDefault(handle) as CudaKernel;

    /// <param name="image">[bytes]</param>
    public static CudaLibrary Add(byte* image, nuint bytes)
    {
        byte[] copy = GC.AllocateArray<byte>((int)bytes + 16, pinned: true);
        new ReadOnlySpan<byte>(image, (int)bytes).CopyTo(copy);
        CudaLibrary library = new(VirtualHandle.Make(HandleKind.Library, s_serial++), copy);
        Known[library.Handle] = library;
        return library;
    }

    /// <summary>The kernel of that name, whether or not the library has one: the first use of it tells.</summary>
    public static CudaKernel KernelOf(CudaLibrary library, string name)
    {
        if (library.Kernels.TryGetValue(name, out CudaKernel? known)) return known;
        CudaKernel kernel = new(VirtualHandle.Make(HandleKind.Kernel, s_serial++), library, name);
        Known[kernel.Handle] = kernel;
        return library.Kernels[name] = kernel;
    }

    /// <summary>The library's module in the current context, loaded now if need be.</summary>
    public static CUresult Module(CudaLibrary library, out CUmodule module)
    {
        module = default;
        CUresult result = Session.Enter(out ProgramThread* thread);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (!library.Modules.TryGetValue(thread->Context, out ulong handle))
        {
            CUmodule loaded = default;
            fixed (byte* image = library.Image) result = Modules.Load(&loaded, image);
            if (result != CUresult.CUDA_SUCCESS) return result;
            library.Modules[thread->Context] = handle = loaded.Value;
        }
        module = new CUmodule(handle);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>The kernel's function in the current context.</summary>
    public static CUresult Function(CudaKernel kernel, out CUfunction function)
    {
        function = default;
        CUresult result = Module(kernel.Library, out CUmodule module);
        if (result != CUresult.CUDA_SUCCESS) return result;
        ulong context = WrapperRuntime.Enter()->Context;
        if (!kernel.Functions.TryGetValue(context, out ulong handle))
        {
            CUfunction found = default;
            fixed (byte* name = Encoding.UTF8.GetBytes(kernel.Name + "\0")) result = Modules.Function(&found, module, name);
            if (result != CUresult.CUDA_SUCCESS) return result;
            kernel.Functions[context] = handle = found.Value;
        }
        function = new CUfunction(handle);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Where a CUkernel stands in place of a CUfunction: facts of its function, which takes its place.</summary>
    /// <returns>null: it is neither</returns>
    public static FunctionFacts* Find(ref CUfunction function)
    {
        if (VirtualHandle.KindOf(function.Value) != HandleKind.Kernel) return null;
        lock (Gate)
        {
            if (Kernel(function.Value) is not { } kernel || Function(kernel, out CUfunction found) != CUresult.CUDA_SUCCESS) return null;
            function = found;
        }
        return Functions.Find(function);
    }

    public static void Remove(CudaLibrary library)
    {
        foreach (CudaKernel kernel in library.Kernels.Values) Known.Remove(kernel.Handle);
        Known.Remove(library.Handle);
    }

    /// <summary>A context has ended, and what was loaded in it.</summary>
    public static void ForgetContext(ulong context)
    {
        lock (Gate)
            foreach (object known in Known.Values)
                if (known is CudaLibrary library) library.Modules.Remove(context);
                else ((CudaKernel)known).Functions.Remove(context);
    }
}
