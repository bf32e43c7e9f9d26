using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.Ptx.Parse;
using TreCr.Ptx.Passes;
using TreCr.Ptx.Ranges;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>
/// Checks that a launch shows to be needless are left out, and nothing else is: arrays that end with mapped memory, with the last element in use (right) and one more (700). An
/// access that was wrongly left unchecked would end the test process with SIGSEGV.
/// </summary>
[CancelAfter(300_000)]
public sealed class RangeTests
{
    const string Source = """
        struct __attribute__((aligned(16))) f4 { float x, y, z, w; };
        extern "C" {
        __global__ void straight(int n, int* a) { int i = BX*NX+TX; if (i < n) a[i] = i; }
        __global__ void strided(int n, int* a) { for (int i = BX*NX+TX; i < n; i += GX*NX) a[i] = i; }
        __global__ void down(int n, int* a) { for (int i = n - 1; i >= 0; i--) a[i] = i; }
        __global__ void step3(int n, int* a) { for (int i = TX; i < n; i += 3) a[i] = i; }
        __global__ void unsignedLoop(int n, int* a) { for (unsigned i = TX; i != n; i++) a[i] = i; }
        __global__ void nested(int n, int* a) { for (int i = 0; i < n / 64; i++) for (int j = TX; j < 64; j += NX) a[i * 64 + j] = i; if (TX == 0) for (int i = n / 64 * 64; i < n; i++) a[i] = i; }
        __global__ void longLoop(int n, int* a) { for (s64 i = (s64)BX*NX+TX; i < n; i += (s64)GX*NX) a[i] = i; }
        __global__ void pointer(int n, int* a) { int* e = a + n; for (int* p = a + TX; p < e; p += NX) *p = 1; }
        __global__ void quads(int n, int* a) { f4* p = (f4*)a; for (int i = TX; i < n / 4; i += NX) { p[i].x = i; p[i].w = 2; } for (int i = n / 4 * 4; i < n; i++) a[i] = i; }
        __global__ void leaves(int n, int* a) { for (int i = TX; ; i += NX) { if (i >= n) break; a[i] = i; } }
        __global__ void plane(int n, int* a) { int x = BX*NX+TX, y = BY*NY+TY, w = NX*GX; int i = y*w+x; if (i < n) a[i] = i; }
        __global__ void back(int n, int* a) { int i = BX*NX+TX; if (i > 0 && i < n) a[i - 1] = a[i] + 1; }
        }
        """;

    static readonly Lazy<string> Ptx = new(() => Clang.Ptx(Source));
    static readonly string[] Kernels = ["straight", "strided", "down", "step3", "unsignedLoop", "nested", "longLoop", "pointer", "quads", "leaves", "plane", "back"];

    [TestCaseSource(nameof(Kernels))]
    public void LastElementIsRightAndTheNextIsNot(string kernel)
    {
        const ulong end = Machine.Base + (4 << 20);
        foreach ((int n, int beyond) in ((int, int)[])[(10_000, 0), (10_000, 1), (256, 0), (256, 1), (4099, 1), (9999, 1), (1, 0), (1, 1)])
        {
            if (kernel == "back" && n == 1) continue;
            using Machine m = new(4 << 20);
            CUfunction f = m.Function(m.Load(Ptx.Value), kernel);
            ulong middle = Machine.Base + (1 << 20);
            (uint, uint, uint) grid = (40, 1, 1), block = (256, 1, 1);
            if (kernel is "down" or "unsignedLoop" or "step3") (grid, block) = ((2, 1, 1), (1, 1, 1));
            if (kernel == "plane") (grid, block) = ((5, 16, 1), (32, 4, 1));
            // First far from the end, where all checks fall, then at it: with the same variant of the kernel.
            Machine.Ok(m.TryLaunch(f, grid, block, 0, default, n, middle));
            Machine.Ok(m.Device.cuCtxSynchronize());
            Machine.Ok(m.TryLaunch(f, grid, block, 0, default, n + beyond, end - (ulong)(n * 4) & (kernel == "quads" ? ~15UL : ~3UL)));
            CUresult expected = beyond == 1 && (kernel != "quads" || n % 4 == 0) && (kernel != "step3" || n % 3 == 0) ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_SUCCESS;
            Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(expected), $"{n} + {beyond}");
        }
    }

    [TestCase("straight", 1), TestCase("strided", 1), TestCase("down", 1), TestCase("step3", 1), TestCase("longLoop", 1), TestCase("pointer", 1), TestCase("plane", 1), TestCase("back", 2)]
    public void AddressesAreUnderstood(string kernel, int atLeast)
    {
        FlowGraph g = PassList.Run(PtxParser.Parse(Ptx.Value).FunctionsByName[kernel], 4000);
        RangeProgram? program = RangePass.Run(g, _ => null);
        Assert.That(program, Is.Not.Null);
        Assert.That(program!.Accesses, Has.Count.GreaterThanOrEqualTo(atLeast));
    }

    [Test]
    public void IntervalsHoldEveryResult()
    {
        Random random = new(7);
        for (int round = 0; round < 20_000; round++)
        {
            Interval a = Random(random, out long x), b = Random(random, out long y);
            Holds(a + b, x + y);
            Holds(a - b, x - y);
            Holds(a * b, x * y);
            Holds(a.Join(b), x);
            Holds(a.Join(b), y);
            Interval wrapped = a.Within(int.MinValue, int.MaxValue, 32);
            if (wrapped.IsKnown) Holds(wrapped, (int)x);
        }

        static Interval Random(Random r, out long member)
        {
            // residue + 2^k * [p, q]
            int k = r.Next(0, 6);
            long residue = r.Next(0, 1 << k), p = r.Next(-1000, 1000), q = p + r.Next(0, 50);
            long low = residue + (p << k), high = residue + (q << k);
            member = residue + (r.NextInt64(p, q + 1) << k);
            return low == high ? Interval.Single(low) : new(low, high, k, residue);
        }

        static void Holds(Interval i, long v)
        {
            if (!i.IsKnown) return;
            Assert.That(v, Is.InRange(i.Low, i.High));
            Assert.That((v - i.Residue) & ((1L << i.KnownBits) - 1), Is.Zero);
        }
    }
}
