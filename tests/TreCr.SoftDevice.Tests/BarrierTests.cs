using NUnit.Framework;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Tests;

/// <summary>Threads that really wait for each other at barrier objects, as libcu++'s barrier and pipeline do: by state, by parity, with asynchronous copies; in groups and one by one.</summary>
[NonParallelizable, CancelAfter(120_000)]
public sealed class BarrierTests
{
    const string Head = ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 8 .b64 barrier;\n.shared .align 2048 .b8 values[2048];\n";
    const int Threads = 96, Rounds = 20;

    [TearDown]
    public void AsUsual() => (ProgramBuilder.UseSimd, ProgramBuilder.AlwaysGroups) = (true, false);

    /// <summary>Arrives and waits. A round has two phases, of even and odd parity.</summary>
    static string Meet(string wait, int phase) => wait.EndsWith("parity", StringComparison.Ordinal)
        ? $"mbarrier.arrive.shared.b64 _, [barrier];\nwait{phase}:\nmbarrier.{wait}.shared.b64 %p, [barrier], {phase};\n@!%p bra wait{phase};\n"
        : $"mbarrier.arrive.shared.b64 %state, [barrier];\nwait{phase}:\nmbarrier.{wait}.shared.b64 %p, [barrier], %state;\n@!%p bra wait{phase};\n";

    static string Kernel(string loop) => Head + $$"""
        .visible .entry k(.param .u64 in, .param .u64 out)
        {
        .reg .b32 %t, %n, %at, %next, %round, %v, %sum, %s;
        .reg .b64 %in, %out, %o, %state;
        .reg .pred %p, %first;
        ld.param.u64 %in, [in];
        ld.param.u64 %out, [out];
        mov.u32 %t, %tid.x;
        mov.u32 %n, %ntid.x;
        setp.eq.u32 %first, %t, 0;
        @%first mbarrier.init.shared.b64 [barrier], %n;
        bar.sync 0;
        shl.b32 %at, %t, 4;
        mov.u32 %v, values;
        add.u32 %at, %at, %v;
        add.u32 %next, %t, 33;
        rem.u32 %next, %next, %n;
        shl.b32 %next, %next, 4;
        add.u32 %next, %next, %v;
        mul.wide.u32 %o, %t, 16;
        add.u64 %in, %in, %o;
        mov.u32 %round, 0;
        mov.u32 %sum, 0;
        again:
        {{loop}}
        add.u32 %round, %round, 1;
        setp.lt.u32 %p, %round, {{Rounds}};
        @%p bra again;
        mul.wide.u32 %o, %t, 4;
        add.u64 %out, %out, %o;
        st.global.u32 [%out], %sum;
        ret;
        }
        """;

    static uint[] Run(string text)
    {
        using Machine m = new(4 << 20);
        ulong input = m.Array<uint>([.. Enumerable.Range(0, Threads * 4).Select(n => (uint)n * 7)]), output = m.Zeroed<uint>(Threads);
        m.Run(m.Function(m.Load(text), "k"), 1, Threads, input, output);
        return Machine.Span<uint>(output, Threads).ToArray();
    }

    /// <summary>Rounds of: write, meet, read the neighbour's, meet. A thread that does not wait reads an old value.</summary>
    [Test]
    public void EveryThreadSeesItsNeighboursValueInEachRound([Values] bool groups, [Values("test_wait", "try_wait", "test_wait.parity", "try_wait.parity")] string wait)
    {
        ProgramBuilder.UseSimd = ProgramBuilder.AlwaysGroups = groups;
        uint[] got = Run(Kernel("mad.lo.u32 %v, %round, 1000, %t;\nst.shared.u32 [%at], %v;\n" + Meet(wait, 0) + "ld.shared.u32 %v, [%next];\nmad.lo.u32 %sum, %sum, 3, %v;\n" + Meet(wait, 1)));
        for (uint t = 0; t < Threads; t++)
        {
            uint sum = 0;
            for (uint r = 0; r < Rounds; r++) sum = sum * 3 + r * 1000 + (t + 33) % Threads;
            Assert.That(got[t], Is.EqualTo(sum), $"thread {t}");
        }
    }

    /// <summary>As cuda::memcpy_async with a barrier: copies, an arrival when they are done, then the thread's own.</summary>
    [Test]
    public void CopiesAreThereWhenTheBarrierOpens([Values] bool groups)
    {
        ProgramBuilder.UseSimd = ProgramBuilder.AlwaysGroups = groups;
        uint[] got = Run(Kernel("cp.async.ca.shared.global [%at], [%in], 16;\ncp.async.mbarrier.arrive.shared.b64 [barrier];\n" + Meet("test_wait", 0) + "ld.shared.u32 %v, [%next+4];\nmad.lo.u32 %sum, %sum, 3, %v;\nmov.u32 %v, 0;\n" + Meet("test_wait", 1)
            + "st.shared.u32 [%at+4], %v;\n" + Meet("test_wait", 2)));
        for (uint t = 0; t < Threads; t++)
        {
            uint sum = 0;
            for (int r = 0; r < Rounds; r++) sum = sum * 3 + ((t + 33) % Threads * 4 + 1) * 7;
            Assert.That(got[t], Is.EqualTo(sum), $"thread {t}");
        }
    }

    /// <summary>A warp that has left is not waited for.</summary>
    [Test]
    public void WhoDropsOutIsNotWaitedFor([Values] bool groups)
    {
        ProgramBuilder.UseSimd = ProgramBuilder.AlwaysGroups = groups;
        uint[] got = Run(Kernel("setp.ge.u32 %p, %t, 64;\n@%p mbarrier.arrive_drop.shared.b64 _, [barrier];\n@%p exit;\nst.shared.u32 [%at], %round;\n" + Meet("test_wait", 0) + "xor.b32 %v, %at, 512;\nld.shared.u32 %v, [%v];\nadd.u32 %sum, %sum, %v;\n" + Meet("test_wait", 1)));
        Assert.That(got, Is.EqualTo(Enumerable.Range(0, Threads).Select(t => t < 64 ? (uint)(Rounds * (Rounds - 1) / 2) : 0)));
    }
}
