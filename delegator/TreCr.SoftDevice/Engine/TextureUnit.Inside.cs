using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Engine;

/// <summary>The common fetch, done without a detour: one or two dimensions, one level, formats that need no look at a table, all texels inside the image. The arithmetic is that of the general way, channel by channel.</summary>
static unsafe partial class TextureUnit
{
    /// <summary>For tests: false sends every fetch the general way.</summary>
    internal static bool TakesShortWay { get; set; } = true;

    const int Fixed = (int)(TextureForm.Cube | TextureForm.Gather | TextureForm.Integer);

    /// <returns>false: nothing was done, the general way has to</returns>
    static bool FetchInside(BlockContext* c, DeviceImage* image, int form, int layer, float x, float y)
    {
        int dimensions = form & (int)TextureForm.Dimensions;
        uint kind = image->Format << 8 | image->Channels;
        if (!TakesShortWay || (form & Fixed) != 0 || image->LevelCount != 1 || dimensions > 2 || (image->Flags & (DeviceImageFlags.ReadAsInteger | DeviceImageFlags.Srgb)) != 0
            || kind is not (0x2001 or 0x2002 or 0x2004 or 0x101 or 0x104)) return false;
        DeviceImageLevel at = (*image)[0];
        if ((at.Width - 1 | at.Height - 1 | at.Depth - 1) >> 28 != 0) return false;
        if ((image->Flags & DeviceImageFlags.Normalized) != 0) (x, y) = (x * at.Width, y * at.Height);
        // Of what was looked at, and nothing that a kernel writes meanwhile.
        uint bytes = (kind >> 8 == 1 ? 1u : 4) * (kind & 7);
        ulong start = at.Address + (ulong)Layer(layer, form, in at) * at.Height * at.PitchBytes;
        bool flat = dimensions < 2;
        if (image->Filter == 0)
        {
            int i = (int)MathF.Floor(x), j = flat ? 0 : (int)MathF.Floor(y);
            if ((uint)i >= at.Width || (uint)j >= at.Height) return false;
            ulong only = start + (ulong)j * at.PitchBytes + (ulong)i * bytes;
            if (!Reaches(only, bytes)) return false;
            Give(c, Load((byte*)only, kind));
            return true;
        }
        x -= 0.5f;
        float left = MathF.Floor(x), a = Weight(x - left), b = 0;
        int x0 = (int)left, y0 = 0;
        if (!flat)
        {
            y -= 0.5f;
            float low = MathF.Floor(y);
            b = Weight(y - low);
            y0 = (int)low;
        }
        uint right = a == 0 ? 0u : 1, above = b == 0 ? 0u : 1;
        if ((uint)x0 >= at.Width - right || (uint)y0 >= at.Height - above) return false;
        ulong near = start + (ulong)y0 * at.PitchBytes + (ulong)x0 * bytes, far = near + above * at.PitchBytes;
        if (!Reaches(near, bytes << (int)right) || !Reaches(far, bytes << (int)right)) return false;
        Vector128<float> t = Row((byte*)near, kind, bytes, a);
        if (above != 0) t = Mix(t, Row((byte*)far, kind, bytes, a), b);
        Give(c, t);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static bool Reaches(ulong address, uint bytes)
    {
        ulong end = address + bytes - 1;
        return (address | end) >> PageTable.AddressBits == 0 && (PageTable.Table[address >> PageTable.PageShift] & PageTable.Table[end >> PageTable.PageShift] & PageTable.Readable) != 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> Row(byte* p, uint kind, uint bytes, float w) => w == 0 ? Load(p, kind) : Mix(Load(p, kind), Load(p + bytes, kind), w);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> Mix(Vector128<float> a, Vector128<float> b, float w) => (1 - w) * a + w * b;

    /// <summary>One texel; channels that it does not have are 0, and 1 for the fourth.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector128<float> Load(byte* p, uint kind) => kind switch
    {
        0x2001 => Vector128.Create(Unsafe.ReadUnaligned<float>(p), 0, 0, 1),
        0x2002 => Vector128.Create(Unsafe.ReadUnaligned<float>(p), Unsafe.ReadUnaligned<float>(p + 4), 0, 1),
        0x2004 => Vector128.Load((float*)p),
        0x101 => Vector128.Create(*p / 255f, 0, 0, 1),
        _ => Vector128.ConvertToSingle(Vector128.Create((int)p[0], p[1], p[2], p[3])) / 255f,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Give(BlockContext* c, Vector128<float> t) => t.Store((float*)&c->Texel0);
}
