using System.Runtime.CompilerServices;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Engine;

/// <summary>
/// Texture reads. CUDA C++ Programming Guide, "Texture Fetching": a linear filter's weights have 8 fractional bits, texel centres lie at halves; wrap and mirror only count for
/// normalized coordinates, else they clamp.
/// </summary>
static unsafe partial class TextureUnit
{
    const uint Wrap = 0, Mirror = 2, Border = 3;

    /// <summary>The image behind an object's value.</summary>
    /// <exception cref="DeviceFaultException">700: it is none.</exception>
    public static DeviceImage* Image(int thread, ulong handle, bool surface)
    {
        if ((handle & 7) != 0 || !PageTable.IsAccessible(handle, (ulong)sizeof(DeviceImage))) throw new DeviceFaultException(700, "not a texture or surface object", handle, thread);
        DeviceImage* image = (DeviceImage*)handle;
        if (image->Magic != DeviceImage.ImageMagic || image->Version != DeviceImage.CurrentVersion || image->LevelCount - 1 >= DeviceImage.MaxLevels
            || surface != ((image->Flags & DeviceImageFlags.Surface) != 0)) throw new DeviceFaultException(700, surface ? "not a surface object" : "not a texture object", handle, thread);
        return image;
    }

    /// <summary>A level, or the nearest that there is.</summary>
    /// <exception cref="DeviceFaultException">700: a kernel has written over the image, perhaps since it was looked at.</exception>
    public static DeviceImageLevel Level(int thread, DeviceImage* image, int level)
    {
        const int sideBits = 28;
        DeviceImageLevel at = (*image)[Math.Clamp(level, 0, (int)(image->LevelCount - 1) & (DeviceImage.MaxLevels - 1))];
        if ((at.Width - 1 | at.Height - 1 | at.Depth - 1) >> sideBits != 0) throw new DeviceFaultException(700, "not a texture or surface object", (ulong)image, thread);
        return at;
    }

    /// <summary>tex with integer coordinates: texels by number.</summary>
    public static void FetchTexel(BlockContext* c, int thread, ulong handle, int form, int layer, int x, int y, int z, int level)
    {
        DeviceImage* image = Image(thread, handle, false);
        DeviceImageLevel at = Level(thread, image, level);
        int dimensions = form & (int)TextureForm.Dimensions;
        Texel t;
        if ((image->Flags & DeviceImageFlags.Linear) != 0) t = (uint)x < at.Width ? Read(thread, image, in at, x, 0, 0) : default;
        else
        {
            bool inside = Place(image, 0, false, ref x, at.Width) & (dimensions < 2 || Place(image, 1, false, ref y, at.Height)) & (dimensions < 3 || Place(image, 2, false, ref z, at.Depth));
            if (dimensions < 2) y = 0;
            if (dimensions < 3) z = Layer(layer, form, in at);
            t = inside ? Read(thread, image, in at, x, y, z) : BorderOf(image);
        }
        Give(c, image, form, in t);
    }

    /// <summary>tex, tex.level, tex.grad and tld4 with f32 coordinates.</summary>
    /// <param name="level">level of detail, before bias and limits</param>
    public static void Fetch(BlockContext* c, int thread, ulong handle, int form, int layer, float x, float y, float z, float level)
    {
        DeviceImage* image = Image(thread, handle, false);
        if (FetchInside(c, image, form, layer, x, y)) return;
        int dimensions = form & (int)TextureForm.Dimensions;
        if ((form & (int)TextureForm.Cube) != 0)
        {
            layer = 6 * layer + Face(ref x, ref y, z);
            dimensions = 2;
        }
        Texel t;
        if ((form & (int)TextureForm.Gather) != 0)
        {
            t = Gather(thread, image, form, layer, x, y);
            Give(c, image, form, in t);
            return;
        }
        float lod = 0;
        if (image->LevelCount > 1)
        {
            lod = Math.Clamp(level + image->LevelBias, image->MinLevel, Math.Max(image->MinLevel, image->MaxLevel));
            lod = Math.Clamp(float.IsNaN(lod) ? 0 : lod, 0, image->LevelCount - 1);
        }
        if (image->MipmapFilter == 0 || lod == MathF.Floor(lod)) t = Sample(thread, image, (int)MathF.Floor(lod + 0.5f), dimensions, form, layer, x, y, z);
        else
        {
            Texel a = Sample(thread, image, (int)lod, dimensions, form, layer, x, y, z), b = Sample(thread, image, (int)lod + 1, dimensions, form, layer, x, y, z);
            t = Mix(in a, in b, Weight(lod - MathF.Floor(lod)));
        }
        Give(c, image, form, in t);
    }

    /// <summary>Level of detail of tex.grad: log2 of the longer of two footprints, in texels.</summary>
    public static float Gradient(int thread, ulong handle, int form, float ax, float ay, float az, float bx, float by, float bz)
    {
        DeviceImage* image = Image(thread, handle, false);
        DeviceImageLevel top = Level(thread, image, 0);
        if ((image->Flags & DeviceImageFlags.Normalized) != 0)
        {
            (ax, bx) = (ax * top.Width, bx * top.Width);
            (ay, by) = (ay * top.Height, by * top.Height);
            (az, bz) = (az * top.Depth, bz * top.Depth);
        }
        int dimensions = form & (int)TextureForm.Dimensions;
        float Length(float x, float y, float z) => MathF.Sqrt(x * x + (dimensions > 1 ? y * y : 0) + (dimensions > 2 ? z * z : 0));
        return MathF.Log2(MathF.Max(Length(ax, ay, az), Length(bx, by, bz)));
    }

    /// <summary>txq and suq.</summary>
    /// <param name="what">0 width, 1 height, 2 depth, 3 channel data type, 4 channel order, 5 normalized mode, 6 array size, 7 mipmap levels</param>
    public static uint Query(BlockContext* c, int thread, ulong handle, int what, int surface, int level)
    {
        DeviceImage* image = Image(thread, handle, surface != 0);
        DeviceImageLevel at = Level(thread, image, level);
        bool layered = (image->Flags & (DeviceImageFlags.Layered | DeviceImageFlags.Cube)) != 0;
        return what switch
        {
            0 => at.Width, 1 => image->Dimensions > 1 ? at.Height : 0, 2 => image->Dimensions > 2 ? at.Depth : 0, 3 => image->Format, 4 => image->Channels,
            5 => (image->Flags & DeviceImageFlags.Normalized) != 0 ? 1u : 0, 6 => layered ? at.Depth : 0, _ => image->LevelCount,
        };
    }

    struct Texel
    {
        public float X, Y, Z, W;
        /// <summary>the channels as integers, sign-extended</summary>
        public int I, J, K, L;
    }

    static int Layer(int layer, int form, in DeviceImageLevel at) => (form & (int)(TextureForm.Layered | TextureForm.Cube)) != 0 ? Math.Clamp(layer, 0, (int)at.Depth - 1) : 0;

    static Texel Sample(int thread, DeviceImage* image, int level, int dimensions, int form, int layer, float x, float y, float z)
    {
        DeviceImageLevel at = Level(thread, image, level);
        bool normalized = (image->Flags & DeviceImageFlags.Normalized) != 0, cube = (form & (int)TextureForm.Cube) != 0;
        if (normalized || cube) (x, y, z) = (x * at.Width, y * at.Height, z * at.Depth);
        int slice = Layer(layer, form, in at);
        bool folds = normalized && !cube;
        if (image->Filter == 0)
        {
            int i = Floor(x), j = dimensions > 1 ? Floor(y) : 0, k = dimensions > 2 ? Floor(z) : slice;
            return One(thread, image, in at, dimensions, folds, i, j, k);
        }
        x -= 0.5f;
        float a = Weight(x - MathF.Floor(x)), b = 0, d = 0;
        int x0 = Floor(x), y0 = 0, z0 = slice;
        if (dimensions > 1)
        {
            y -= 0.5f;
            b = Weight(y - MathF.Floor(y));
            y0 = Floor(y);
        }
        if (dimensions > 2)
        {
            z -= 0.5f;
            d = Weight(z - MathF.Floor(z));
            z0 = Floor(z);
        }
        Texel near = Plane(thread, image, in at, dimensions, folds, x0, y0, z0, a, b);
        if (dimensions < 3 || d == 0) return near;
        Texel far = Plane(thread, image, in at, dimensions, folds, x0, y0, z0 + 1, a, b);
        return Mix(in near, in far, d);
    }

    static Texel Plane(int thread, DeviceImage* image, in DeviceImageLevel at, int dimensions, bool folds, int x, int y, int z, float a, float b)
    {
        Texel near = Row(thread, image, in at, dimensions, folds, x, y, z, a);
        if (dimensions < 2 || b == 0) return near;
        Texel far = Row(thread, image, in at, dimensions, folds, x, y + 1, z, a);
        return Mix(in near, in far, b);
    }

    static Texel Row(int thread, DeviceImage* image, in DeviceImageLevel at, int dimensions, bool folds, int x, int y, int z, float a)
    {
        Texel left = One(thread, image, in at, dimensions, folds, x, y, z);
        if (a == 0) return left;
        Texel right = One(thread, image, in at, dimensions, folds, x + 1, y, z);
        return Mix(in left, in right, a);
    }

    /// <summary>Four texels around a place, counter-clockwise from the lower left: (0,1), (1,1), (1,0), (0,0).</summary>
    static Texel Gather(int thread, DeviceImage* image, int form, int layer, float x, float y)
    {
        DeviceImageLevel at = Level(thread, image, 0);
        bool normalized = (image->Flags & DeviceImageFlags.Normalized) != 0, cube = (form & (int)TextureForm.Cube) != 0;
        if (normalized || cube) (x, y) = (x * at.Width, y * at.Height);
        int i = Floor(x - 0.5f), j = Floor(y - 0.5f), k = Layer(layer, form, in at), channel = (form & (int)TextureForm.Channel) >> 6;
        bool folds = normalized && !cube;
        Texel a = One(thread, image, in at, 2, folds, i, j + 1, k), b = One(thread, image, in at, 2, folds, i + 1, j + 1, k), c = One(thread, image, in at, 2, folds, i + 1, j, k), d = One(thread, image, in at, 2, folds, i, j, k);
        static float Number(in Texel t, int channel) => channel switch { 0 => t.X, 1 => t.Y, 2 => t.Z, _ => t.W };
        static int Whole(in Texel t, int channel) => channel switch { 0 => t.I, 1 => t.J, 2 => t.K, _ => t.L };
        return new()
        {
            X = Number(in a, channel), Y = Number(in b, channel), Z = Number(in c, channel), W = Number(in d, channel),
            I = Whole(in a, channel), J = Whole(in b, channel), K = Whole(in c, channel), L = Whole(in d, channel),
        };
    }

    static Texel One(int thread, DeviceImage* image, in DeviceImageLevel at, int dimensions, bool folds, int x, int y, int z)
    {
        bool inside = Place(image, 0, folds, ref x, at.Width);
        if (dimensions > 1) inside &= Place(image, 1, folds, ref y, at.Height);
        if (dimensions > 2) inside &= Place(image, 2, folds, ref z, at.Depth);
        return inside ? Read(thread, image, in at, x, y, z) : BorderOf(image);
    }

    /// <summary>A texel's number as the address mode wants it.</summary>
    /// <returns>false: outside, in the border</returns>
    static bool Place(DeviceImage* image, int dimension, bool folds, ref int n, uint size)
    {
        if ((uint)n < size) return true;
        uint mode = image->AddressMode[dimension];
        int s = Math.Max(1, (int)size);
        if (mode == Border) return false;
        if (folds && mode == Wrap) n = (int)(((long)n % s + s) % s);
        else if (folds && mode == Mirror)
        {
            int m = (int)(((long)n % (2L * s) + 2L * s) % (2L * s));
            n = m < s ? m : 2 * s - 1 - m;
        }
        else n = Math.Clamp(n, 0, s - 1);
        return true;
    }

    static int Floor(float x) => float.IsNaN(x) ? 0 : (int)Math.Clamp(MathF.Floor(x), -1e9f, 1e9f);

    /// <summary>1.8 fixed point.</summary>
    static float Weight(float fraction) => MathF.Floor(fraction * 256 + 0.5f) / 256;

    static Texel Mix(in Texel a, in Texel b, float w) => new()
    {
        X = (1 - w) * a.X + w * b.X, Y = (1 - w) * a.Y + w * b.Y, Z = (1 - w) * a.Z + w * b.Z, W = (1 - w) * a.W + w * b.W, I = a.I, J = a.J, K = a.K, L = a.L,
    };

    static Texel BorderOf(DeviceImage* image) => new()
    {
        X = image->Border[0], Y = image->Border[1], Z = image->Border[2], W = image->Border[3],
        I = BitConverter.SingleToInt32Bits(image->Border[0]), J = BitConverter.SingleToInt32Bits(image->Border[1]), K = BitConverter.SingleToInt32Bits(image->Border[2]), L = BitConverter.SingleToInt32Bits(image->Border[3]),
    };

    static Texel Read(int thread, DeviceImage* image, in DeviceImageLevel at, int x, int y, int z)
    {
        int channelBytes = DeviceImage.ChannelBytes(image->Format);
        uint channels = Math.Min(image->Channels, 4), bytes = (uint)channelBytes * channels;
        ulong address = at.Address + ((ulong)z * at.Height + (ulong)y) * at.PitchBytes + (ulong)x * bytes;
        if (bytes == 0 || !PageTable.IsAccessible(address, bytes)) throw new DeviceFaultException(700, "texture outside of its memory", address, thread);
        // Channels that an image does not have are 0, and 1 for the fourth.
        Texel t = new() { W = 1, L = 1 };
        byte* p = (byte*)address;
        Channel(image, p, 0, out t.X, out t.I);
        if (channels > 1) Channel(image, p + channelBytes, 1, out t.Y, out t.J);
        if (channels > 2) Channel(image, p + 2 * channelBytes, 2, out t.Z, out t.K);
        if (channels > 3) Channel(image, p + 3 * channelBytes, 3, out t.W, out t.L);
        return t;
    }

    static void Channel(DeviceImage* image, byte* p, int number, out float value, out int bits)
    {
        bool whole = (image->Flags & DeviceImageFlags.ReadAsInteger) != 0;
        switch (image->Format)
        {
            case 1: bits = *p; value = whole ? BitConverter.Int32BitsToSingle(bits) : (image->Flags & DeviceImageFlags.Srgb) != 0 && number < 3 ? FromSrgb(bits / 255f) : bits / 255f; break;
            case 2: bits = Unsafe.ReadUnaligned<ushort>(p); value = whole ? BitConverter.Int32BitsToSingle(bits) : bits / 65535f; break;
            case 8: bits = (sbyte)*p; value = whole ? BitConverter.Int32BitsToSingle(bits) : MathF.Max(-1, bits / 127f); break;
            case 9: bits = Unsafe.ReadUnaligned<short>(p); value = whole ? BitConverter.Int32BitsToSingle(bits) : MathF.Max(-1, bits / 32767f); break;
            case 0x10: value = (float)Unsafe.ReadUnaligned<Half>(p); bits = BitConverter.SingleToInt32Bits(value); break;
            case 0x20: value = Unsafe.ReadUnaligned<float>(p); bits = BitConverter.SingleToInt32Bits(value); break;
            default: bits = Unsafe.ReadUnaligned<int>(p); value = BitConverter.Int32BitsToSingle(bits); break;
        }
    }

    static float FromSrgb(float v) => v <= 0.04045f ? v / 12.92f : MathF.Pow((v + 0.055f) / 1.055f, 2.4f);

    static void Give(BlockContext* c, DeviceImage* image, int form, in Texel t)
    {
        // What is read as a number comes as the bits of an f32 into integer registers too: so nvcc reads a texture<uchar4, 2, cudaReadModeNormalizedFloat>.
        bool integers = (form & (int)TextureForm.Integer) != 0 && ((image->Flags & DeviceImageFlags.ReadAsInteger) != 0 || image->Format is 3 or 10);
        c->Texel0 = integers ? (uint)t.I : BitConverter.SingleToUInt32Bits(t.X);
        c->Texel1 = integers ? (uint)t.J : BitConverter.SingleToUInt32Bits(t.Y);
        c->Texel2 = integers ? (uint)t.K : BitConverter.SingleToUInt32Bits(t.Z);
        c->Texel3 = integers ? (uint)t.L : BitConverter.SingleToUInt32Bits(t.W);
    }

    /// <summary>Face of a cube map and the place in it, 0 to 1. OpenGL's table, which CUDA follows.</summary>
    static int Face(ref float x, ref float y, float z)
    {
        float ax = MathF.Abs(x), ay = MathF.Abs(y), az = MathF.Abs(z), m, s, t;
        int face;
        if (ax >= ay && ax >= az) (face, m, s, t) = x >= 0 ? (0, ax, -z, -y) : (1, ax, z, -y);
        else if (ay >= az) (face, m, s, t) = y >= 0 ? (2, ay, x, z) : (3, ay, x, -z);
        else (face, m, s, t) = z >= 0 ? (4, az, x, -y) : (5, az, -x, -y);
        x = (s / m + 1) / 2;
        y = (t / m + 1) / 2;
        return face;
    }
}
