using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Engine;

/// <summary>Surface reads and writes: raw bytes of a texel, x counted in bytes. PTX ISA, suld, sust.</summary>
static unsafe class SurfaceUnit
{
    public static void Load(BlockContext* c, int thread, ulong handle, int form, int layer, int x, int y, int z)
    {
        int bytes = (form & (int)TextureForm.Bytes) >> 10;
        (c->Texel0, c->Texel1, c->Texel2, c->Texel3) = (0, 0, 0, 0);
        byte* p = Place(thread, handle, form, layer, x, y, z, bytes, writes: false);
        if (p != null) Buffer.MemoryCopy(p, &c->Texel0, 16, bytes);
    }

    /// <summary>The bytes lie in the context's texel.</summary>
    public static void Store(BlockContext* c, int thread, ulong handle, int form, int layer, int x, int y, int z)
    {
        int bytes = (form & (int)TextureForm.Bytes) >> 10;
        byte* p = Place(thread, handle, form, layer, x, y, z, bytes, writes: true);
        if (p != null) Buffer.MemoryCopy(&c->Texel0, p, bytes, bytes);
    }

    /// <returns>null: outside, where that means zero, or nothing</returns>
    /// <exception cref="DeviceFaultException">700: outside, where that is a trap.</exception>
    static byte* Place(int thread, ulong handle, int form, int layer, int x, int y, int z, int bytes, bool writes)
    {
        DeviceImage* image = TextureUnit.Image(thread, handle, true);
        DeviceImageLevel at = TextureUnit.Level(thread, image, 0);
        int texel = DeviceImage.ChannelBytes(image->Format) * (int)Math.Min(image->Channels, 4), dimensions = form & (int)TextureForm.Dimensions, width = (int)at.Width * texel;
        if (dimensions < 2) y = 0;
        if (dimensions < 3) z = (form & (int)TextureForm.Layered) != 0 ? layer : 0;
        bool inside = bytes > 0 && x >= 0 && x <= width - bytes && (uint)y < at.Height && (uint)z < at.Depth;
        if (!inside)
        {
            int outside = (form & (int)TextureForm.Outside) >> 8;
            if (outside == 2 || width < bytes) return null;
            if (outside == 0) throw new DeviceFaultException(700, "outside of the surface", (ulong)(uint)x, thread);
            x = Math.Clamp(x, 0, width - bytes);
            y = Math.Clamp(y, 0, (int)at.Height - 1);
            z = Math.Clamp(z, 0, (int)at.Depth - 1);
        }
        ulong address = at.Address + ((ulong)z * at.Height + (ulong)y) * at.PitchBytes + (ulong)x;
        if (address % (uint)bytes != 0) throw new DeviceFaultException(716, "misaligned surface access", address, thread);
        if (!PageTable.IsAccessible(address, (ulong)bytes, writes)) throw new DeviceFaultException(700, "surface outside of its memory", address, thread);
        return (byte*)address;
    }
}
