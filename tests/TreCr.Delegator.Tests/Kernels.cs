namespace TreCr.Delegator.Tests;

/// <summary>PTX of the tests.</summary>
internal static class Kernels
{
    /// <summary>mix(p, n, k): p[i] = p[i] * 5 + k + i + total; one thread adds 1 to the global <c>total</c>.</summary>
    public const string Mix = """
        .version 6.4
        .target sm_50
        .address_size 64
        .visible .global .align 4 .u32 total;
        .visible .entry mix(.param .u64 p, .param .u64 n, .param .u64 k)
        {
            .reg .pred %p<3>;
            .reg .b32 %r<12>;
            .reg .b64 %rd<8>;
            ld.param.u64 %rd1, [p];
            ld.param.u64 %rd2, [n];
            ld.param.u64 %rd3, [k];
            mov.u32 %r1, %ctaid.x;
            mov.u32 %r2, %ntid.x;
            mov.u32 %r3, %tid.x;
            mad.lo.s32 %r4, %r1, %r2, %r3;
            cvt.u64.u32 %rd4, %r4;
            setp.ge.u64 %p1, %rd4, %rd2;
            @%p1 bra DONE;
            shl.b64 %rd5, %rd4, 2;
            add.s64 %rd6, %rd1, %rd5;
            ld.global.u32 %r5, [%rd6];
            cvt.u32.u64 %r6, %rd3;
            mad.lo.s32 %r7, %r5, 5, %r6;
            add.s32 %r8, %r7, %r4;
            st.global.u32 [%rd6], %r8;
            setp.ne.s32 %p2, %r4, 0;
            @%p2 bra DONE;
            ld.global.u32 %r9, [total];
            add.s32 %r10, %r9, 1;
            st.global.u32 [total], %r10;
        DONE:
            ret;
        }
        """;

    /// <summary>What <see cref="Mix"/> does to an array.</summary>
    public static void MixOnHost(uint[] values, uint k)
    {
        for (uint i = 0; i < values.Length; i++) values[i] = values[i] * 5 + k + i;
    }
}
