using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>Kernels that launch kernels, by the functions that libcudadevrt calls (the samples of soak samples come with the library itself).</summary>
[CancelAfter(120_000)]
public sealed class ChildLaunchTests
{
    /// <summary>down(out, depth): adds 1 to out[depth]; thread 0 launches itself with depth + 1, two blocks each time; what the launch answers goes to out[64 + depth].</summary>
    const string Module = """
        .version 8.0
        .target sm_90
        .address_size 64
        .extern .func (.param .b64 r) cnpGetParameterBufferV2 (.param .b64 f, .param .align 4 .b8 g[12], .param .align 4 .b8 b[12], .param .b32 s);
        .extern .func (.param .b32 r) cnpLaunchDeviceV2 (.param .b64 buffer, .param .b64 stream);
        .extern .func (.param .b64 r) cnpGetParameterBuffer (.param .b32 alignment, .param .b32 bytes);
        .extern .func (.param .b32 r) cnpLaunchDevice (.param .b64 f, .param .b64 buffer, .param .b64 g, .param .b64 b, .param .b32 s, .param .b64 stream);
        .extern .func (.param .b32 r) cnpSetLastError (.param .b32 error);
        .extern .func (.param .b32 r) cnpGetLastError ();
        .extern .entry down (.param .u64 out, .param .u32 depth);
        .func (.param .b32 answer) start (.param .u64 f, .param .u64 out, .param .u32 value, .param .u32 blocks, .param .u32 threads)
        {
        .reg .b64 %f, %out, %buffer;
        .reg .b32 %value, %blocks, %threads, %answer;
        ld.param.u64 %f, [f];
        ld.param.u64 %out, [out];
        ld.param.u32 %value, [value];
        ld.param.u32 %blocks, [blocks];
        ld.param.u32 %threads, [threads];
        {
        .param .b64 p0;
        st.param.b64 [p0], %f;
        .param .align 4 .b8 p1[12];
        st.param.b32 [p1], %blocks;
        st.param.b32 [p1+4], 1;
        st.param.b32 [p1+8], 1;
        .param .align 4 .b8 p2[12];
        st.param.b32 [p2], %threads;
        st.param.b32 [p2+4], 1;
        st.param.b32 [p2+8], 1;
        .param .b32 p3;
        st.param.b32 [p3], 0;
        .param .b64 got;
        call.uni (got), cnpGetParameterBufferV2, (p0, p1, p2, p3);
        ld.param.b64 %buffer, [got];
        }
        st.u64 [%buffer], %out;
        st.u32 [%buffer+8], %value;
        {
        .param .b64 p0;
        st.param.b64 [p0], %buffer;
        .param .b64 p1;
        st.param.b64 [p1], 0;
        .param .b32 said;
        call.uni (said), cnpLaunchDeviceV2, (p0, p1);
        ld.param.b32 %answer, [said];
        }
        st.param.b32 [answer], %answer;
        ret;
        }
        .visible .entry down (.param .u64 out, .param .u32 depth)
        {
        .reg .b64 %out, %f, %at;
        .reg .b32 %depth, %t, %answer;
        .reg .pred %p;
        ld.param.u64 %out, [out];
        ld.param.u32 %depth, [depth];
        mul.wide.u32 %at, %depth, 4;
        add.u64 %at, %at, %out;
        red.global.add.u32 [%at], 1;
        mov.u32 %t, %tid.x;
        mov.u32 %answer, %ctaid.x;
        or.b32 %t, %t, %answer;
        setp.ne.u32 %p, %t, 0;
        @%p exit;
        add.u32 %depth, %depth, 1;
        mov.u64 %f, down;
        {
        .param .u64 p0;
        st.param.u64 [p0], %f;
        .param .u64 p1;
        st.param.u64 [p1], %out;
        .param .u32 p2;
        st.param.u32 [p2], %depth;
        .param .u32 p3;
        st.param.u32 [p3], 2;
        .param .u32 p4;
        st.param.u32 [p4], 48;
        .param .b32 r;
        call.uni (r), start, (p0, p1, p2, p3, p4);
        ld.param.b32 %answer, [r];
        }
        st.global.u32 [%at+256], %answer;
        exit;
        }
        .visible .entry last (.param .u64 out, .param .u32 value)
        {
        .reg .b64 %out;
        .reg .b32 %value;
        ld.param.u64 %out, [out];
        ld.param.u32 %value, [value];
        st.global.u32 [%out], %value;
        exit;
        }
        .visible .entry once (.param .u64 out, .param .u64 f, .param .u64 to, .param .u32 blocks, .param .u32 threads)
        {
        .reg .b64 %out, %f, %to;
        .reg .b32 %blocks, %threads, %answer;
        ld.param.u64 %out, [out];
        ld.param.u64 %f, [f];
        ld.param.u64 %to, [to];
        ld.param.u32 %blocks, [blocks];
        ld.param.u32 %threads, [threads];
        @KNOWN mov.u64 %f, last;
        {
        .param .u64 p0;
        st.param.u64 [p0], %f;
        .param .u64 p1;
        st.param.u64 [p1], %to;
        .param .u32 p2;
        st.param.u32 [p2], 77;
        .param .u32 p3;
        st.param.u32 [p3], %blocks;
        .param .u32 p4;
        st.param.u32 [p4], %threads;
        .param .b32 r;
        call.uni (r), start, (p0, p1, p2, p3, p4);
        ld.param.b32 %answer, [r];
        }
        {
        .param .b32 p0;
        st.param.b32 [p0], %answer;
        .param .b32 r;
        call.uni (r), cnpSetLastError, (p0);
        }
        {
        .param .b32 r;
        call.uni (r), cnpGetLastError, ();
        ld.param.b32 %answer, [r];
        }
        st.global.u32 [%out], %answer;
        exit;
        }
        """;

    static string Text(bool known) => Module.Replace("@KNOWN ", known ? "" : ".reg .pred %never;\nsetp.ne.u32 %never, 0, 0;\n@%never ", StringComparison.Ordinal);

    [Test]
    public void AKernelLaunchesItselfAsDeepAsAGpuAllows()
    {
        using Machine m = new(4 << 20);
        ulong output = m.Zeroed<uint>(128);
        m.Run(m.Function(m.Load(Text(true)), "down"), 1, 32, output, 0u);
        uint[] got = Machine.Span<uint>(output, 128).ToArray();
        Assert.Multiple(() =>
        {
            Assert.That(got[..26], Is.EqualTo(Enumerable.Range(0, 26).Select(n => n == 0 ? 32u : n <= 24 ? 96u : 0)));
            // The device runtime's code for "too deep", from the deepest.
            Assert.That(got[64..90], Is.EqualTo(Enumerable.Range(0, 26).Select(n => n == 24 ? 5u : 0)));
        });
    }

    [TestCase(true, 1u, 1u, 0u, 77u), TestCase(true, 0u, 1u, 1u, 0u), TestCase(true, 1u, 1025u, 1u, 0u), TestCase(false, 1u, 1u, 1u, 0u)]
    public void ABadLaunchIsAnsweredAndDoesNothing(bool known, uint blocks, uint threads, uint answer, uint stored)
    {
        using Machine m = new(4 << 20);
        ulong output = m.Zeroed<uint>(2);
        m.Run(m.Function(m.Load(Text(known)), "once"), 1, 1, output, 0x1234ul, output + 4, blocks, threads);
        Assert.That(Machine.Span<uint>(output, 2).ToArray(), Is.EqualTo(new[] { answer, stored }));
    }

    [Test]
    public void AFaultOfAChildEndsTheLaunchThatStartedIt()
    {
        using Machine m = new(4 << 20);
        ulong output = m.Zeroed<uint>(2);
        m.Launch(m.Function(m.Load(Text(true)), "once"), 1, 1, output, 0ul, 0x10ul, 1u, 1u);
        Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(CUresult.CUDA_ERROR_ILLEGAL_ADDRESS));
    }

    /// <summary>ask(out, attribute, device, limit): the answers to out[0] and out[2], the values to out[1] and the eight bytes at out[4].</summary>
    const string Questions = """
        .version 8.0
        .target sm_90
        .address_size 64
        .extern .func (.param .b32 r) cnpDeviceGetAttribute (.param .b64 value, .param .b32 attribute, .param .b32 device);
        .extern .func (.param .b32 r) cnpGetLimit (.param .b64 value, .param .b32 limit);
        .visible .entry ask (.param .u64 out, .param .u32 attribute, .param .u32 device, .param .u32 limit)
        {
        .reg .b64 %out, %to;
        .reg .b32 %x, %y;
        ld.param.u64 %out, [out];
        {
        .param .b64 p0;
        add.u64 %to, %out, 4;
        st.param.b64 [p0], %to;
        .param .b32 p1;
        ld.param.u32 %x, [attribute];
        st.param.b32 [p1], %x;
        .param .b32 p2;
        ld.param.u32 %y, [device];
        st.param.b32 [p2], %y;
        .param .b32 r;
        call.uni (r), cnpDeviceGetAttribute, (p0, p1, p2);
        ld.param.b32 %x, [r];
        }
        st.global.u32 [%out], %x;
        {
        .param .b64 p0;
        add.u64 %to, %out, 16;
        st.param.b64 [p0], %to;
        .param .b32 p1;
        ld.param.u32 %x, [limit];
        st.param.b32 [p1], %x;
        .param .b32 r;
        call.uni (r), cnpGetLimit, (p0, p1);
        ld.param.b32 %x, [r];
        }
        st.global.u32 [%out+8], %x;
        exit;
        }
        """;

    /// <summary>Attributes 75 and 8: compute capability, shared memory of a block; limit 1: bytes of printf's buffer. Answers 1 and 3 are the device runtime's for a bad value and a bad device.</summary>
    [TestCase(75, 0, 1, 0, 0), TestCase(8, 0, 4, 0, 0), TestCase(9999, 0, 99, 1, 1), TestCase(75, 1, -1, 3, 1)]
    public unsafe void AKernelAsksForAttributesAndLimits(int attribute, int device, int limit, int answer, int limitAnswer)
    {
        using Machine m = new(4 << 20);
        nuint set = 123_456;
        Machine.Ok(m.Device.cuCtxSetLimit(1, set));
        int expected = 0;
        nuint expectedLimit = 0;
        if (answer == 0) Machine.Ok(m.Device.cuDeviceGetAttribute(&expected, attribute, default));
        if (limitAnswer == 0) Machine.Ok(m.Device.cuCtxGetLimit(&expectedLimit, limit));
        if (limit == 1) Assert.That(expectedLimit, Is.EqualTo(set));
        ulong output = m.Zeroed<int>(6);
        m.Run(m.Function(m.Load(Questions), "ask"), 1, 1, output, attribute, device, limit);
        int[] got = Machine.Span<int>(output, 6).ToArray();
        Assert.That(got[..3], Is.EqualTo(new[] { answer, expected, limitAnswer }));
        Assert.That(Machine.Span<ulong>(output + 16, 1)[0], Is.EqualTo((ulong)expectedLimit));
    }
}
