using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>Parameters whose address was taken: clang does so with a structure passed by value.</summary>
[CancelAfter(60_000)]
public sealed class ParameterAddressTests
{
    const string Ptx = """
        .version 6.4
        .target sm_70
        .address_size 64
        .visible .entry pick(.param .align 8 .b8 pair[16], .param .u32 which)
        {
            .reg .b32 %r<3>;
            .reg .b64 %rd<6>;
            mov.b64 %rd1, pair;
            ld.param.u32 %r1, [which];
            mul.wide.u32 %rd2, %r1, 8;
            add.s64 %rd3, %rd1, %rd2;
            ld.param.u64 %rd4, [%rd3];
            cvta.to.global.u64 %rd5, %rd4;
            st.global.u32 [%rd5], 77;
            ret;
        }
        """;

    [Test]
    public void A_parameter_is_read_through_a_register([Values(0, 1)] int which)
    {
        using Machine m = new();
        CUfunction f = m.Function(m.Load(Ptx), "pick");
        ulong a = m.Zeroed<int>(1), b = m.Zeroed<int>(1);
        m.Run(f, 1, 1, a, b, which);
        Assert.That((Machine.Span<int>(a, 1)[0], Machine.Span<int>(b, 1)[0]), Is.EqualTo(which == 0 ? (77, 0) : (0, 77)));
    }

    [Test]
    public void Reading_past_the_parameters_is_an_illegal_address()
    {
        using Machine m = new();
        CUfunction f = m.Function(m.Load(Ptx), "pick");
        ulong a = m.Zeroed<int>(1);
        Machine.Ok(m.TryLaunch(f, (1, 1, 1), (1, 1, 1), 0, default, a, a, 1000));
        Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS));
    }

    /// <summary>The window's check does not cover parameters, so the page table decides; what it is asked for must not depend on what else the page is read for.</summary>
    [TestCase("st.u64 [%rd1], 0;"), TestCase("ld.u64 %rd2, [%rd1]; st.u64 [%rd1], %rd2;"), TestCase("atom.exch.b64 %rd2, [%rd1], 0;"), TestCase("st.global.u64 [%rd1], 0;")]
    public void Parameters_cannot_be_written(string store)
    {
        using Machine m = new();
        CUfunction f = m.Function(m.Load($$"""
            .version 6.4
            .target sm_70
            .address_size 64
            .visible .entry write(.param .u64 target)
            {
                .reg .b64 %rd<6>;
                mov.b64 %rd1, target;
                {{store}}
                ld.param.u64 %rd4, [target];
                st.global.u32 [%rd4], 77;
                ret;
            }
            """), "write");
        Machine.Ok(m.TryLaunch(f, (1, 1, 1), (1, 1, 1), 0, default, m.Zeroed<int>(1)));
        Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS));
    }
}
