using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>Arrays and objects of the program, by the values that it has. They lie in its memory and come back with it; their contents are device memory.</summary>
internal static class Images
{
    /// <summary>Over everything in this folder.</summary>
    public static readonly Lock Gate = new();

    private static readonly Dictionary<ulong, CudaArray> Arrays = [];
    private static readonly Dictionary<ulong, ImageObject> Objects = [];

    public static void Add(CudaArray array) => Arrays[array.Handle] = array;

    public static void Add(ImageObject made) => Objects[made.Value] = made;

    /// <summary>Null: no such array now.</summary>
    public static CudaArray? Array(ulong handle)
    {
        lock (Gate) return Arrays.GetValueOrDefault(handle);
    }

    /// <summary>Null: no such texture, or surface, now.</summary>
    public static ImageObject? Object(ulong value, bool isSurface) => Objects.TryGetValue(value, out ImageObject? found) && found.IsSurface == isSurface ? found : null;

    public static void Remove(CudaArray array)
    {
        foreach (CudaArray level in array.Given.Values) Arrays.Remove(level.Handle);
        Arrays.Remove(array.Handle);
    }

    public static void Remove(ImageObject gone) => Objects.Remove(gone.Value);

    /// <summary>A context has ended, and its memory.</summary>
    public static void ForgetContext(ulong context)
    {
        lock (Gate)
        {
            foreach (CudaArray array in Arrays.Values.Where(a => a.Context == context).ToArray()) Arrays.Remove(array.Handle);
            foreach (ImageObject made in Objects.Values.Where(o => o.Context == context).ToArray()) Objects.Remove(made.Value);
        }
    }
}
