using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Cache;

/// <summary>What compiled code depends on beside the kernel's text: emitter, .NET runtime, processor, options.</summary>
static class BuildFingerprint
{
    /// <summary>An image holds code of these three inlined, so it is only good beside exactly them.</summary>
    static readonly string Assemblies = string.Join(' ', new[] { typeof(object), typeof(BuildFingerprint), typeof(PtxModule) }.Select(t => t.Module.ModuleVersionId.ToString("N")));

    static readonly string Processor = DescribeProcessor();

    public static string Text => $"2 {Assemblies} {Processor} {VectorWidth.MostBytes} {ProgramBuilder.UseSimd} {ProgramBuilder.UseMasks} {ProgramBuilder.AlwaysGroups} {ProgramBuilder.LargestMethod}";

    /// <summary>Feature bits of the processor (CPUID 1 and 7), and what of them the runtime uses: an environment variable can forbid some.</summary>
    static string DescribeProcessor()
    {
        if (!X86Base.IsSupported) return "other";
        (_, _, int c1, int d1) = X86Base.CpuId(1, 0);
        (_, int b7, int c7, int d7) = X86Base.CpuId(7, 0);
        (int a71, _, _, _) = X86Base.CpuId(7, 1);
        // OSPKE is the kernel's choice, not the processor's.
        return string.Join(' ', $"{c1:x} {d1:x} {b7:x} {c7 & ~0x18:x} {d7:x} {a71:x}", Vector256.IsHardwareAccelerated, Vector512.IsHardwareAccelerated, Avx2.IsSupported, Fma.IsSupported, Bmi2.IsSupported, Lzcnt.IsSupported, Popcnt.IsSupported,
            Avx512F.IsSupported, Avx512BW.IsSupported, Avx512DQ.IsSupported, Avx512F.VL.IsSupported, Avx512Vbmi.IsSupported);
    }
}
