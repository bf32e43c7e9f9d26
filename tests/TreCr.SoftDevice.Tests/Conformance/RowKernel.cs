using System.Text;
using NUnit.Framework;
using TreCr.Calls.Cuda;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>Runs a row's instruction through the device's own compiler: one thread a vector, operands and results as 64-bit words in device memory.</summary>
sealed class RowKernel : IDisposable
{
    readonly Machine m = new(8 << 20);
    readonly ulong input, output;

    public RowKernel()
    {
        input = m.Zeroed<ulong>(Vectors.Most * Words);
        output = m.Zeroed<ulong>(Vectors.Most);
    }

    public void Dispose() => m.Dispose();

    const string Head = ".version 8.6\n.target sm_100\n.address_size 64\n";
    const int Words = 4;
    /// <summary>The kernel's parameter "extra".</summary>
    public static readonly ulong[] Extra = [0x8182838485868788, 0xfedcba9876543210, 0x3ff0000000000001, 0x7f80ff80c07f017e];

    /// <summary>Module text of one kernel, k. Each thread reads its operands, does the instruction, writes 64 bits.</summary>
    public static string Text(InstructionRow row)
    {
        StringBuilder t = new(Head + row.Module);
        t.Append(".visible .entry k(.param .u64 in, .param .u64 out, .param .align 16 .b8 extra[32], .param .u32 n)\n{\n.reg .b64 %in, %out, %at, %wide, %scratch;\n.reg .b32 %i, %n, %s, %word;\n.reg .b16 %h;\n.reg .pred %beyond;\n");
        t.Append($".reg .{Register(row.Result)} %d;\n");
        for (int k = 0; k < row.Operands.Length; k++) t.Append($".reg .{Register(row.Operands[k])} %{"abcq"[k]};\n");
        t.Append(row.Declarations);
        t.Append("ld.param.u64 %in, [in];\nld.param.u64 %out, [out];\nld.param.u32 %n, [n];\nmov.u32 %i, %ctaid.x;\nmov.u32 %s, %ntid.x;\nmul.lo.u32 %i, %i, %s;\nmov.u32 %s, %tid.x;\nadd.u32 %i, %i, %s;\n");
        t.Append($"setp.ge.u32 %beyond, %i, %n;\n@%beyond exit;\nmul.wide.u32 %at, %i, {Words * 8};\nadd.u64 %in, %in, %at;\nmul.wide.u32 %at, %i, 8;\nadd.u64 %out, %out, %at;\nmov.u64 %scratch, %out;\n");
        for (int k = 0; k < row.Operands.Length; k++)
        {
            string name = $"%{"abcq"[k]}", type = row.Operands[k];
            if (type == "pred") t.Append($"ld.global.u32 %s, [%in+{8 * k}];\nsetp.ne.u32 {name}, %s, 0;\n");
            else t.Append($"ld.global.b{Vectors.Bits(type)} {name}, [%in+{8 * k}];\n");
        }
        string body = row.Body ?? row.Form + " {d}" + string.Concat(row.Operands.Select((_, k) => $", {{{"abcq"[k]}}}")) + ";";
        foreach (char c in "abcdq") body = body.Replace($"{{{c}}}", $"%{c}", StringComparison.Ordinal);
        t.Append(body).Append('\n');
        switch (row.Result)
        {
            case "pred": t.Append("selp.u64 %wide, 1, 0, %d;\n"); break;
            case "b16" or "f16" or "bf16": t.Append("mov.b16 %h, %d;\ncvt.u64.u16 %wide, %h;\n"); break;
            case "f32": t.Append("mov.b32 %word, %d;\ncvt.u64.u32 %wide, %word;\n"); break;
            case "f64": t.Append("mov.b64 %wide, %d;\n"); break;
            default: t.Append(Vectors.Bits(row.Result) == 64 ? "mov.b64 %wide, %d;\n" : "cvt.u64.u32 %wide, %d;\n"); break;
        }
        t.Append("st.global.u64 [%out], %wide;\nexit;\n}\n");
        return t.ToString();
    }

    static string Register(string type) => type switch { "pred" => "pred", "f32" => "f32", "f64" => "f64", "b8" or "u8" or "s8" => "b16", _ => "b" + Vectors.Bits(type) };

    /// <summary>Runs the row. Null when all is right; else what is wrong first.</summary>
    public unsafe string? Run(InstructionRow row)
    {
        ulong[][] vectors = Vectors.For(row);
        if (row.WarpReference is null && vectors.Length < Vectors.Least) return $"{vectors.Length} vectors";
        Span<ulong> to = Machine.Span<ulong>(input, vectors.Length * Words);
        for (int i = 0; i < vectors.Length; i++) vectors[i].CopyTo(to[(i * Words)..]);
        Machine.Span<ulong>(output, vectors.Length).Fill(0xdddddddddddddddd);
        CUresult loaded = m.TryLoad(Text(row), out CUmodule module);
        if (loaded != CUDA_SUCCESS) return $"load: {loaded}";
        CUfunction f = m.Function(module, "k");
        CUresult r = m.TryLaunch(f, ((uint)(vectors.Length + 63) / 64, 1, 1), (64, 1, 1), 0, default, input, output, Extra[0], Extra[1], Extra[2], Extra[3], vectors.Length);
        if (r == CUDA_SUCCESS) r = m.Device.cuCtxSynchronize();
        string? wrong = r == CUDA_SUCCESS ? Compare(row, vectors, Machine.Span<ulong>(output, vectors.Length)) : r.ToString();
        m.Device.cuModuleUnload(module);
        return wrong;
    }

    static string? Compare(InstructionRow row, ulong[][] vectors, Span<ulong> results)
    {
        Ieee? f = row.Result switch { "f16" => Ieee.F16, "bf16" => Ieee.BF16, "f32" => Ieee.F32, "f64" => Ieee.F64, _ => null };
        for (int i = 0; i < vectors.Length; i++)
        {
            ulong got = results[i];
            if (row.Accept is { } accept && accept(vectors[i], got)) continue;
            ulong want = row.WarpReference is { } warp ? warp(vectors[(i & ~31)..Math.Min((i & ~31) + 32, vectors.Length)], i & 31) : row.Reference(vectors[i]);
            if (got == want || row.Accept is null && row.AnyNaN && f is not null && f.IsNaN(got) && f.IsNaN(want)) continue;
            return $"({string.Join(", ", vectors[i].Select(v => $"0x{v:x}"))}): expected 0x{want:x}, was 0x{got:x}";
        }
        return null;
    }
}
