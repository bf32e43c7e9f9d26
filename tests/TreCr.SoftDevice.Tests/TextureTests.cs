using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Tests;

/// <summary>The short way through a texture gives, bit for bit, what the general way gives (which the programs of TreCr.Surface.Tests prove).</summary>
[NonParallelizable, CancelAfter(120_000)]
public sealed unsafe class TextureTests
{
    const int Width = 13, Height = 7, Layers = 3, Pitch = 256;

    [TearDown]
    public void AsUsual() => TextureUnit.TakesShortWay = true;

    [Test]
    public void TheShortWayIsTheGeneralWay([Values(0x20u, 1u, 2u, 9u, 0x10u)] uint format, [Values(1u, 2u, 4u)] uint channels, [Values] bool linear)
    {
        Random random = new(7);
        using Machine m = new(4 << 20);
        byte[] bytes = new byte[Pitch * Height * Layers];
        random.NextBytes(bytes);
        if (format == 0x20)
            for (int n = 0; n + 4 <= bytes.Length; n += 4) BitConverter.TryWriteBytes(bytes.AsSpan(n), n % 97 == 0 ? float.NaN : (random.NextSingle() - 0.5f) * 100);
        ulong texels = m.Array<byte>(bytes), at = m.Zeroed<byte>(sizeof(DeviceImage));
        DeviceImage* image = (DeviceImage*)at;
        (image->Magic, image->Version, image->LevelCount) = (DeviceImage.ImageMagic, DeviceImage.CurrentVersion, 1);
        (image->Format, image->Channels, image->Filter) = (format, channels, linear ? 1u : 0);
        int compared = 0;
        foreach (DeviceImageFlags flags in (DeviceImageFlags[])[DeviceImageFlags.None, DeviceImageFlags.Normalized, DeviceImageFlags.Normalized | DeviceImageFlags.Srgb])
            foreach (TextureForm form in (TextureForm[])[(TextureForm)1, (TextureForm)2, (TextureForm)1 | TextureForm.Layered, (TextureForm)2 | TextureForm.Layered])
                for (uint mode = 0; mode < 4; mode++)
                {
                    bool flat = (form & TextureForm.Dimensions) == (TextureForm)1;
                    image->Flags = flags | (form & TextureForm.Layered) switch { 0 => DeviceImageFlags.None, _ => DeviceImageFlags.Layered };
                    image->Dimensions = flat ? 1u : 2;
                    (image->AddressMode[0], image->AddressMode[1]) = (mode, mode ^ 1);
                    (*image)[0] = new DeviceImageLevel(texels, Width, flat ? 1u : Height, (form & TextureForm.Layered) != 0 ? Layers : 1u, Pitch);
                    for (int n = 0; n < 200; n++)
                    {
                        float scale = (flags & DeviceImageFlags.Normalized) != 0 ? 1f / Width : 1;
                        float Coordinate() => n % 41 == 0 ? float.NaN : n % 43 == 0 ? 3e20f : scale * (n % 3 == 0 ? random.Next(-2, Width + 2) + 0.5f : n % 3 == 1 ? random.Next(0, 8) : (random.NextSingle() * 1.4f - 0.2f) * Width);
                        float x = Coordinate(), y = Coordinate();
                        int layer = random.Next(-1, Layers + 1);
                        Assert.That(Fetch(at, form, layer, x, y, true), Is.EqualTo(Fetch(at, form, layer, x, y, false)), $"{form} {flags} mode {mode} at ({x}, {y}), layer {layer}");
                        compared++;
                    }
                }
        Assert.That(compared, Is.EqualTo(3 * 4 * 4 * 200));
    }

    static (uint, uint, uint, uint) Fetch(ulong handle, TextureForm form, int layer, float x, float y, bool isShort)
    {
        TextureUnit.TakesShortWay = isShort;
        BlockContext c = default;
        TextureUnit.Fetch(&c, 0, handle, (int)form, layer, x, y, 0, 0);
        // Any NaN: which of two comes out of a sum is the processor's choice.
        static uint Bits(uint v) => float.IsNaN(BitConverter.UInt32BitsToSingle(v)) ? 0x7fc00000 : v;
        return (Bits(c.Texel0), Bits(c.Texel1), Bits(c.Texel2), Bits(c.Texel3));
    }
}
