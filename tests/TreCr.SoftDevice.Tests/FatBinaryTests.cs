using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.Ptx.Container;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>Of a text in a fat binary only what is launched is read: a kernel in which something is wrong keeps no other from running, and is refused when the program asks for it.</summary>
public sealed unsafe class FatBinaryTests
{
    const string Ptx = """
        .version 6.4
        .target sm_52
        .address_size 64
        .visible .entry broken(.param .u64 out) { .reg .b32 %r<2>; mov.u32 %r1, nothing; ret; }
        .visible .entry counts(.param .u64 out)
        {
        .global .u32 calls = 41;
        .reg .b32 %r<3>; .reg .b64 %d<2>;
        ld.param.u64 %d1, [out];
        atom.global.add.u32 %r1, [calls], 1;
        add.u32 %r1, %r1, 1;
        st.global.u32 [%d1], %r1;
        ret;
        }
        """;

    static byte[] FatBinary(string ptx)
    {
        byte[] text = Encoding.ASCII.GetBytes(ptx + "\0");
        int stored = text.Length + 7 & ~7;
        byte[] image = new byte[16 + 64 + stored];
        BinaryPrimitives.WriteUInt32LittleEndian(image, Fatbin.Magic);
        image[4] = 1;
        image[6] = 16;
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(8), (ulong)(64 + stored));
        Span<byte> entry = image.AsSpan(16);
        entry[0] = 1; // PTX
        entry[4] = 64;
        BinaryPrimitives.WriteUInt64LittleEndian(entry[8..], (ulong)stored);
        entry[28] = 52;
        text.CopyTo(entry[64..]);
        return image;
    }

    [Test]
    public void OnlyWhatIsLaunchedIsRead()
    {
        using Machine m = new(4 << 20);
        byte[] image = FatBinary(Ptx);
        CUmodule module;
        fixed (byte* p = image) Machine.Ok(m.Device.trecrModuleLoad(&module, p, (nuint)image.Length));
        CUfunction f;
        FunctionFacts facts;
        TextWriter old = Console.Error;
        StringWriter errors = new();
        Console.SetError(errors);
        try
        {
            fixed (byte* name = "broken\0"u8) Assert.That(m.Device.trecrModuleGetFunction(&f, &facts, module, name), Is.EqualTo(CUDA_ERROR_INVALID_PTX));
        }
        finally { Console.SetError(old); }
        Assert.That(errors.ToString(), Does.Contain("unknown symbol nothing"));
        ulong result = m.Zeroed<uint>(1);
        m.Run(m.Function(module, "counts"), 1, 1, result);
        Assert.That(Machine.Span<uint>(result, 1)[0], Is.EqualTo(42));
        Assert.That(m.TryLoad(Ptx, out _), Is.EqualTo(CUDA_ERROR_INVALID_PTX), "a text is looked at when it is loaded");
    }
}
