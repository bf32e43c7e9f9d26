using System.Runtime.InteropServices;
using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>A texture or surface object that a kernel has written over: CUDA's error for a bad address or texels from somewhere in the program's own memory, nothing else.</summary>
[CancelAfter(120_000)]
public sealed unsafe class DamagedImageTests
{
    const string Ptx = """
        .version 6.4
        .target sm_52
        .address_size 64
        .visible .entry sample(.param .u64 out, .param .u64 tex)
        {
        .reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %d<4>;
        ld.param.u64 %d1, [out]; ld.param.u64 %d2, [tex];
        mov.f32 %f1, 0f3FC00000; mov.u32 %r1, 1;
        tex.level.3d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f1, %f1, %f1}], %f1;
        st.global.f32 [%d1], %f5;
        tex.a2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%r1, %f1, %f1, %f1}];
        tex.1d.v4.f32.s32 {%f5, %f6, %f7, %f8}, [%d2, {%r1}];
        tex.cube.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f1, %f1, %f1}];
        tld4.r.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f1}];
        txq.width.b32 %r5, [%d2];
        ret;
        }
        .visible .entry paint(.param .u64 surface)
        {
        .reg .b32 %r<9>; .reg .b64 %d<3>;
        ld.param.u64 %d1, [surface];
        suld.b.3d.b32.clamp {%r4}, [%d1, {4, 1, 1, 1}];
        sust.b.3d.b32.trap [%d1, {4, 1, 1, 1}], {%r4};
        ret;
        }
        """;

    const int Side = 4;

    static CUresult Run(Action<Span<uint>> damage, bool surface)
    {
        using Machine m = new(4 << 20);
        CUmodule module = m.Load(Ptx);
        ulong texels = m.Zeroed<float>(Side * Side * Side), at = m.Zeroed<byte>(sizeof(DeviceImage));
        DeviceImage* image = (DeviceImage*)at;
        (image->Magic, image->Version, image->LevelCount) = (DeviceImage.ImageMagic, DeviceImage.CurrentVersion, 1);
        (image->Format, image->Channels, image->Dimensions, image->Filter) = (0x20, 1, 3, 1);
        if (surface) image->Flags = DeviceImageFlags.Surface;
        (*image)[0] = new DeviceImageLevel(texels, Side, Side, Side, Side * sizeof(float));
        damage(MemoryMarshal.Cast<byte, uint>(new Span<byte>(image, sizeof(DeviceImage))));
        TextWriter old = Console.Error;
        Console.SetError(TextWriter.Null);
        try
        {
            if (surface) m.Launch(m.Function(module, "paint"), 1, 1, at);
            else m.Launch(m.Function(module, "sample"), 1, 1, m.Zeroed<float>(1), at);
            return m.Device.cuCtxSynchronize();
        }
        finally { Console.SetError(old); }
    }

    [Test]
    public void AWholeOneIsRead([Values] bool surface) => Assert.That(Run(_ => { }, surface), Is.EqualTo(CUresult.CUDA_SUCCESS));

    static int Levels => sizeof(DeviceImage) / sizeof(uint) - 6 * DeviceImage.MaxLevels;

    /// <summary>Of the first level: width, height, depth.</summary>
    [Test]
    public void ASideOfNothing([Values(2, 3, 4)] int word, [Values(0u, 1u << 31, uint.MaxValue)] uint side, [Values] bool surface)
        => Assert.That(Run(w => w[Levels + word] = side, surface), Is.EqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS));

    [Test]
    public void AnyWordAnyValue([Values] bool surface)
    {
        int words = Levels + 6;
        for (int word = 0; word < words; word++)
            foreach (uint value in (uint[])[0, 1, 7, 17, 1 << 20, 1u << 31, uint.MaxValue])
                Assert.That(Run(w => w[word] = value, surface), Is.EqualTo(CUresult.CUDA_SUCCESS).Or.EqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS).Or.EqualTo(CUresult.CUDA_ERROR_MISALIGNED_ADDRESS), $"word {word}, {value:x}");
    }
}
