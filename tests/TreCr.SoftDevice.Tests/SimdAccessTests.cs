using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.SoftDevice.Emit;
using static TreCr.Calls.Cuda.CUresult;

namespace TreCr.SoftDevice.Tests;

/// <summary>Accesses whose lanes lie anywhere, and runs of blocks that go row by row: groups give what single threads give, and the same thread is named where an access is bad.</summary>
[TestFixture(32), TestFixture(64), NonParallelizable, CancelAfter(300_000)]
public sealed class SimdAccessTests(int vectorBytes)
{
    const string Source = """
        #define I (BX*NX*NY+TY*NX+TX)
        extern "C" {
        __global__ void pick(int n, const int* index, const float* x, float* y) { int i = I; if (i < n) y[i] = x[index[i]]; }
        __global__ void put(int n, const int* index, const float* x, double* y) { int i = I; if (i < n) y[index[i]] = x[i]; }
        __global__ void bytes(int n, const unsigned char* x, int* y) { int i = I; if (i < n) y[i] = x[5*i+1]; }
        __global__ void words(int n, const int* x, int* y) { int i = I; if (i < n) y[i] = (x[i] & 255) + 3 * (x[n+i] >> 8 & 255) + 5 * (int)((unsigned)x[2*n+i] >> 16) + 7 * (signed char)(x[3*n+i] >> 24) + 11 * (short)x[4*n+i]; }
        __global__ void odd(int n, const int* index, const char* x, int* y) { int i = I; if (i < n) y[i] = *(const int*)(x + index[i]); }
        __global__ void uneven(int n, const int* rounds, const int* x, int* y) { int i = I, k = i, s = 0; if (i >= n) return;
          for (int r = 0; r < rounds[i]; r++) k += n; for (int j = 0; j < 3; j++) { s += x[k] * (j + 1); k += n; } y[i] = s; }
        __global__ void bins(int n, const int* x, int* y) { __shared__ int s[256]; int t = TY*NX+TX; for (int k = t; k < 256; k += NX*NY) s[k] = 0; __syncthreads();
          for (int i = I; i < n; i += GX*NX*NY) __nvvm_atom_add_gen_i(&s[x[i]], 1); __syncthreads(); for (int k = t; k < 256; k += NX*NY) y[BX*256+k] = s[k]; }
        }
        """;

    static readonly Lazy<string> Ptx = new(() => Clang.Ptx(Source));

    [SetUp]
    public void GroupsAlways() => SimdTests.Always(vectorBytes);

    [TearDown]
    public void AsUsual() => SimdTests.Usual();

    [Test]
    public void Lanes_anywhere_give_what_threads_give([Values("pick", "put", "bytes", "words", "uneven", "bins")] string kernel, [Values(256u, 32u, 16u, 8u)] uint x)
    {
        const int n = 3000;
        uint y = x == 256 ? 1u : 4u;
        // A permutation of the elements; numbers of rounds of which some groups have the same in all lanes; numbers of bins.
        int[] index = [.. Enumerable.Range(0, n).Select(i => (int)((long)i * 1009 % n))], rounds = [.. Enumerable.Range(0, n).Select(i => i / 64 % 3 == 0 ? 2 : i % 4)], bins = [.. Enumerable.Range(0, n).Select(i => i * 7919 % 1000 % 256)];
        (_, string? difference) = SimdTests.Both(Ptx.Value, kernel, (kernel == "bins" ? 5 : (n + x * y - 1) / (x * y), 1, 1), (x, y, 1), m =>
        {
            ulong numbers = m.Array<int>(kernel == "uneven" ? rounds : kernel == "bins" ? bins : index), data = m.Array<int>([.. Enumerable.Range(0, 8 * n).Select(i => i * 0x1234567)]), to = m.Zeroed<double>(n);
            return (kernel is "bytes" or "words" or "bins" ? [n, kernel == "bins" ? numbers : data, to] : [n, numbers, data, to], to, n * 8);
        });
        Assert.That(difference, Is.Null);
    }

    [TestCase("pick", 1 << 28, CUDA_ERROR_ILLEGAL_ADDRESS), TestCase("put", -(1 << 20), CUDA_ERROR_ILLEGAL_ADDRESS), TestCase("odd", 6, CUDA_ERROR_MISALIGNED_ADDRESS), TestCase("bins", 256, CUDA_ERROR_ILLEGAL_ADDRESS)]
    public void The_thread_with_the_bad_lane_is_named(string kernel, int bad, CUresult expected)
    {
        foreach (bool groups in (bool[])[true, false])
        {
            ProgramBuilder.UseSimd = groups;
            using Machine m = new(4 << 20);
            const int n = 16 * 64;
            int[] index = [.. Enumerable.Range(0, n).Select(i => kernel == "bins" ? i & 255 : i * 4)];
            index[5 * 64 + 41] = bad;
            TextWriter old = Console.Error;
            StringWriter errors = new();
            Console.SetError(errors);
            try
            {
                ulong numbers = m.Array<int>(index), data = m.Zeroed<double>(4 * n), to = m.Zeroed<double>(4 * n);
                object[] arguments = kernel == "bins" ? [n, numbers, to] : [n, numbers, data, to];
                Machine.Ok(m.TryLaunch(m.Function(m.Load(Ptx.Value), kernel), (16, 1, 1), (64, 1, 1), 0, default, arguments));
                Assert.That(m.Device.cuCtxSynchronize(), Is.EqualTo(expected));
            }
            finally
            {
                Console.SetError(old);
            }
            Assert.That(errors.ToString(), Does.Contain("block (5,0,0), thread (41,0,0)"), groups ? "groups" : "threads");
        }
    }
}
