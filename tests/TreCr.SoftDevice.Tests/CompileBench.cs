using System.Diagnostics;
using System.Runtime.InteropServices;
using NUnit.Framework;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Container;
using TreCr.Ptx.Parse;
using TreCr.SoftDevice.Backend;
using TreCr.SoftDevice.Emit;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Tests;

/// <summary>What compiling the kernels of a library takes. Not part of a test run: <c>TRECR_BENCH_LIBRARY=/usr/lib/x86_64-linux-gnu/libcublas.so.11 dotnet test --filter CompileBench</c>.</summary>
[Explicit("a measurement"), CancelAfter(600_000)]
public sealed unsafe class CompileBench
{
    /// <summary>Every so manieth kernel is taken.</summary>
    const int Every = 29;

    sealed class NoAddresses : ISymbolAddresses
    {
        public ulong Of(string name) => 0x7000_0000_0000;
    }

    [Test]
    public void KernelsOfALibrary()
    {
        string library = Environment.GetEnvironmentVariable("TRECR_BENCH_LIBRARY") ?? "/usr/lib/x86_64-linux-gnu/libcublas.so.11";
        if (!File.Exists(library)) Assert.Ignore($"no {library}");
        byte[] file = File.ReadAllBytes(library);
        BlockContext* context = (BlockContext*)NativeMemory.AllocZeroed((nuint)sizeof(BlockContext));
        context->Parameters = (byte*)NativeMemory.AllocZeroed(8192);
        context->Scratch = (byte*)NativeMemory.AllocZeroed(SimdVariant.ScratchBytes);
        long textBytes = 0;
        double parse = 0, threads = 0, groups = 0, jitThreads = 0, jitGroups = 0;
        int modules = 0, kernels = 0, instructions = 0, grouped = 0, groupedInstructions = 0, seen = 0;
        List<double> each = [];
        for (int at = 0; at < file.Length - 16; at += 8)
        {
            if (MemoryMarshal.Read<uint>(file.AsSpan(at)) != Fatbin.Magic || Fatbin.LengthBytes(file.AsSpan(at, 16)) is not (> 64 and var length) || at + length > file.Length) continue;
            byte[] text;
            try { text = Fatbin.SelectPtx(file.AsSpan(at, (int)length), 100, null).ToArray(); }
            catch (PtxException) { continue; }
            long start = Stopwatch.GetTimestamp();
            PtxModule module = PtxParser.Parse(text);
            parse += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            modules++;
            textBytes += text.Length;
            foreach (PtxFunction f in module.Functions)
            {
                if (!f.IsEntry || seen++ % Every != 0) continue;
                try
                {
                    start = Stopwatch.GetTimestamp();
                    CompiledKernel kernel = ProgramBuilder.Compile(module, f, new NoAddresses(), true);
                    double emit = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                    start = Stopwatch.GetTimestamp();
                    SimdVariant? simd = kernel.MakeSimd?.Invoke(kernel.UsesWarps ? 32 : 16, true);
                    double emitGroups = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                    start = Stopwatch.GetTimestamp();
                    foreach (ChunkMethod m in simd?.Chunks ?? kernel.Chunks) m(context, 0, 0);
                    double jit = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                    threads += emit;
                    groups += emitGroups;
                    if (simd is null) jitThreads += jit; else { jitGroups += jit; grouped++; groupedInstructions += kernel.InstructionCount; }
                    each.Add(emit + emitGroups + jit);
                    kernels++;
                    instructions += kernel.InstructionCount;
                }
                catch (PtxException e) { TestContext.Out.WriteLine(e.Message); }
            }
        }
        each.Sort();
        TestContext.Out.WriteLine(FormattableString.Invariant($"{modules} modules, {textBytes >> 10} KiB, parsed in {parse:f0} ms; {kernels} kernels of {instructions} instructions, {grouped} of {groupedInstructions} by groups: emitted for threads in {threads:f0} ms, for groups in {groups:f0} ms, compiled by RyuJIT in {jitThreads:f0} and {jitGroups:f0} ms; a kernel: mean {each.Average():f1} ms, median {each[each.Count / 2]:f1}, most {each[^1]:f1}"));
    }
}
