using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Wrapper.Cuda.Manual;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>
/// Texture and surface references. What the program sets is kept here, and comes back with its memory; the next launch in the reference's context writes it to the device as a <see cref="DeviceImage"/>, when all launches before
/// it are done, so that each kernel sees what was bound when it was launched.
/// </summary>
internal static unsafe class ImageReferences
{
    private static readonly Dictionary<ulong, ImageReference> Known = [];
    private static readonly Dictionary<(ulong Module, string Name, bool IsSurface), ImageReference> ByName = [];
    private static readonly HashSet<ImageReference> Changed = [];
    private static ulong s_serial = VirtualHandle.FirstSerial;
    private static volatile bool s_isPending;

    /// <summary>Something was set that no launch has seen; asked by each launch.</summary>
    public static bool IsPending => s_isPending;

    /// <summary>Null: no such reference now. Under <see cref="Images.Gate"/>.</summary>
    public static ImageReference? Find(ulong handle, bool isSurface) => Known.TryGetValue(handle, out ImageReference? found) && found.IsSurface == isSurface ? found : null;

    /// <inheritdoc cref="Find(ulong, bool)"/>
    public static ImageReference? Find(ulong module, string name, bool isSurface) => ByName.GetValueOrDefault((module, name, isSurface));

    /// <param name="name">null: none of a module</param>
    public static ImageReference Add(bool isSurface, ulong slot, ulong module, string? name, ulong context)
    {
        ImageReference made = new(VirtualHandle.Make(isSurface ? HandleKind.Surface : HandleKind.Texture, s_serial++), isSurface, slot, module, context);
        Known[made.Handle] = made;
        if (name is not null) ByName[(module, name, isSurface)] = made;
        return made;
    }

    /// <summary>The next launch has to bring it to the device.</summary>
    public static void Change(ImageReference reference)
    {
        if (reference.Slot == 0) return;
        Changed.Add(reference);
        s_isPending = true;
    }

    /// <summary>Brings what was set to the device, for a launch in the current context.</summary>
    /// <returns>also what is wrong with a binding</returns>
    public static CUresult Publish(ProgramThread* thread)
    {
        lock (Images.Gate)
        {
            Changed.RemoveWhere(r => r.IsAsRemembered);
            ImageReference[] here = [.. Changed.Where(r => r.Context == thread->Context)];
            CUresult result = here.Length == 0 ? CUresult.CUDA_SUCCESS : CudaContextCalls.Send_cuCtxSynchronize(thread, CallClass.Blocking);
            foreach (ImageReference reference in here)
            {
                if (result == CUresult.CUDA_SUCCESS) result = Write(thread, reference);
                if (result != CUresult.CUDA_SUCCESS) continue;
                reference.Remember();
                Changed.Remove(reference);
            }
            s_isPending = Changed.Count != 0;
            return result;
        }
    }

    private static CUresult Write(ProgramThread* thread, ImageReference reference)
    {
        DeviceImage image = default;
        CUresult result = CUresult.CUDA_SUCCESS;
        if (reference.IsBound) result = reference.IsSurface ? TextureObjects.Surface(in reference.Resource, ref image) : TextureObjects.Texture(in reference.Resource, in reference.Texture, null, ref image);
        if (result == CUresult.CUDA_SUCCESS && reference.Image.Memory == 0)
        {
            result = ImageMemory.Make(thread, (ulong)sizeof(DeviceImage), out CUdeviceptr memory, out CUarray handle);
            if (result == CUresult.CUDA_SUCCESS) reference.Image = (memory.Value, handle.Value);
        }
        // A reference that is bound to nothing has an image without its mark, which is CUDA error 700 to use.
        if (result == CUresult.CUDA_SUCCESS) result = Copy(thread, reference.Image.Memory, &image, sizeof(DeviceImage));
        ulong address = reference.Image.Memory;
        return result == CUresult.CUDA_SUCCESS ? Copy(thread, reference.Slot, &address, sizeof(ulong)) : result;
    }

    private static CUresult Copy(ProgramThread* thread, ulong to, void* from, int bytes)
        => CudaCopyCalls.Send_cuMemcpyHtoDAsync_v2(thread, CallClass.Blocking, 0, new CUdeviceptr(to), from, (nuint)bytes, CUstream.Legacy);

    /// <summary>A reference of no module ends, or all of a module that is no more; its context lives.</summary>
    public static void Forget(ProgramThread* thread, Func<ImageReference, bool> which)
    {
        lock (Images.Gate)
            foreach (ImageReference gone in Remove(which))
                if (gone.Image.Memory != 0) ImageMemory.End(thread, gone.Image.Memory, gone.Image.Logged);
    }

    /// <summary>A context has ended, and its memory.</summary>
    public static void ForgetContext(ulong context)
    {
        lock (Images.Gate) Remove(r => r.Context == context);
    }

    private static ImageReference[] Remove(Func<ImageReference, bool> which)
    {
        ImageReference[] gone = [.. Known.Values.Where(which)];
        foreach (ImageReference reference in gone)
        {
            Known.Remove(reference.Handle);
            Changed.Remove(reference);
        }
        foreach ((ulong, string, bool) name in ByName.Where(n => gone.Contains(n.Value)).Select(n => n.Key).ToArray()) ByName.Remove(name);
        s_isPending = Changed.Count != 0;
        return gone;
    }
}
