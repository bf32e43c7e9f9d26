using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>Ordinary CUDA kernels, compiled by clang, against independent C#.</summary>
[TestFixture(int.MaxValue), TestFixture(10), CancelAfter(120_000)]
public sealed class KernelTests(int largestMethod)
{
    const string Source = """
        extern "C" {
        __global__ void saxpy(int n, float a, const float* x, float* y) { int i = BX*NX+TX; if (i < n) y[i] = a*x[i]+y[i]; }
        __global__ void stencil(int w, int h, const float* in, float* out) {
          int x=BX*NX+TX, y=BY*NY+TY; if (x<=0||y<=0||x>=w-1||y>=h-1) return; int i=y*w+x;
          out[i]=0.5f*in[i]+0.125f*(in[i-1]+in[i+1]+in[i-w]+in[i+w]); }
        __global__ void reduce(int n, const int* in, int* out) {
          __shared__ int s[256]; int t=TX; int v=0; for (int i=BX*256+t;i<n;i+=GX*256) v+=in[i]; s[t]=v; __syncthreads();
          for (int k=128;k>0;k>>=1) { if (t<k) s[t]+=s[t+k]; __syncthreads(); }
          if (t==0) out[BX]=s[0]; }
        __global__ void matmul(int n, const float* A, const float* B, float* C) {
          __shared__ float sa[16][16]; __shared__ float sb[16][16]; int tx=TX,ty=TY,r=BY*16+ty,c=BX*16+tx; float acc=0;
          for (int m=0;m<n;m+=16) { sa[ty][tx]=A[r*n+m+tx]; sb[ty][tx]=B[(m+ty)*n+c]; __syncthreads();
            for (int k=0;k<16;k++) acc+=sa[ty][k]*sb[k][tx]; __syncthreads(); }
          C[r*n+c]=acc; }
        __global__ void hist(int n, const unsigned char* in, uint* out) {
          __shared__ uint h[256]; int t=TX; h[t]=0; __syncthreads();
          for (int i=BX*256+t;i<n;i+=GX*256) __nvvm_atom_add_gen_i((int*)&h[in[i]],1);
          __syncthreads(); __nvvm_atom_add_gen_i((int*)&out[t],(int)h[t]); }
        __global__ void collatz(int n, uint* out) { int i=BX*NX+TX; if (i>=n) return; uint v=i+1,s=0; while (v!=1) { if (v&1) v=3*v+1; else v>>=1; s++; } out[i]=s; }
        __global__ void scan(const int* in, int* out) {
          int i=BX*NX+TX; int lane=TX&31; int v=in[i];
          #pragma unroll
          for (int d=1;d<32;d<<=1) { int o=__nvvm_shfl_sync_up_i32(0xffffffff,v,d,0); if (lane>=d) v+=o; }
          out[i]=v; }
        __global__ void votes(const int* in, uint* out) {
          int i=BX*NX+TX; uint b=__nvvm_vote_ballot_sync(0xffffffff,in[i]>0); int all=__nvvm_vote_all_sync(0xffffffff,in[i]>-5); int any=__nvvm_vote_any_sync(0xffffffff,in[i]>90);
          out[i*3]=b; out[i*3+1]=all; out[i*3+2]=any; }
        __device__ int table[4] = {1, 20, 300, 4000}; __device__ int* where = &table[2]; __constant__ float factor = 2.5f;
        __global__ void globals(float* out) { int i=TX; out[i]=factor*table[i&3] + *where; table[i&3]=0; }
        __global__ void locals(int n, const int* in, int* out) {
          int a[16]; int i=BX*NX+TX; for (int k=0;k<16;k++) a[k]=in[(i+k)%n]; int x=0; for (int k=0;k<16;k++) x+=a[(in[i]+k*7)&15]*k; out[i]=x; }
        __attribute__((noinline)) __device__ int fib(int n) { return n < 2 ? n : fib(n-1)+fib(n-2); }
        __global__ void recursion(int* out) { out[TX]=fib(TX); }
        __global__ void print(int n) { struct { int a; double d; const char* s; } v = {n, 1.5, "text"}; if (TX==0) vprintf("n=%d d=%.3f s=%s %%\n", (const char*)&v); }
        __global__ void dynamic(int n, int* out) { extern __attribute__((shared)) int buf[]; int t=TX; buf[t]=t*n; __syncthreads(); out[t]=buf[NX-1-t]; }
        __global__ void spinlock(int* lock, int* count) {
          bool done=false; while (!done) { if (__nvvm_atom_cas_gen_i(lock,0,1)==0) { *(volatile int*)count=*(volatile int*)count+1; __nvvm_membar_gl(); __nvvm_atom_xchg_gen_i(lock,0); done=true; } } }
        __global__ void flag(volatile int* f, int* out) { if (TX==0) { while (*f==0) {} out[0]=7; } else if (TX==NX-1) { *f=1; } }
        __global__ void publish(int rounds, volatile int* data, volatile int* flags, int* wrong) {
          volatile int* mine = data + BX/2*32; volatile int* said = flags + BX/2*2;
          for (int r=1;r<=rounds;r++) {
            if (BX%2==0) { mine[TX]=r; __nvvm_membar_gl(); if (TX==0) { said[0]=r; int x=r; for (int k=0;k<50000;k++) x=x*1664525+(x>>7); if (x==42) wrong[0]=-1; while (said[1]!=r) {} } __syncthreads(); }
            else { if (TX==0) while (said[0]!=r) {} __syncthreads(); if (mine[TX]!=r) wrong[BX*32+TX]=r; __syncthreads(); if (TX==0) said[1]=r; } } }
        __global__ void chain(volatile int* f) { if (BX+1<GX) while (f[BX+1]==0) {} f[BX]=1; }
        }
        """;

    Machine m = null!;
    CUmodule module;

    [OneTimeSetUp]
    public void Start()
    {
        Emit.ProgramBuilder.LargestMethod = largestMethod;
        m = new();
        module = m.Load(Clang.Ptx(Source));
    }

    [OneTimeTearDown]
    public void Stop()
    {
        Emit.ProgramBuilder.LargestMethod = int.MaxValue;
        m.Dispose();
    }

    [SetUp]
    public void SetContext() => Machine.Ok(m.Device.cuCtxSetCurrent(m.Context));

    static readonly Random Random = new(42);

    static int[] Ints(int n, int from = -1000, int to = 1000) => [.. Enumerable.Range(0, n).Select(_ => Random.Next(from, to))];
    static float[] Floats(int n) => [.. Enumerable.Range(0, n).Select(_ => (float)(Random.NextDouble() * 4 - 2))];

    [Test]
    public void Saxpy()
    {
        int n = Random.Next(10_000, 20_000);
        float[] x = Floats(n), y = Floats(n);
        ulong dx = m.Array<float>(x), dy = m.Array<float>(y);
        m.Run(m.Function(module, "saxpy"), (uint)(n + 255) / 256, 256, n, 1.5f, dx, dy);
        Span<float> got = Machine.Span<float>(dy, n);
        for (int i = 0; i < n; i++) Assert.That(got[i], Is.EqualTo(MathF.FusedMultiplyAdd(1.5f, x[i], y[i])), $"element {i}");
    }

    [Test]
    public void Stencil()
    {
        int w = 211, h = 97;
        float[] a = Floats(w * h);
        ulong da = m.Array<float>(a), db = m.Zeroed<float>(w * h);
        Machine.Ok(m.TryLaunch(m.Function(module, "stencil"), ((uint)(w + 31) / 32, (uint)(h + 7) / 8, 1), (32, 8, 1), 0, default, w, h, da, db));
        Machine.Ok(m.Device.cuCtxSynchronize());
        Span<float> got = Machine.Span<float>(db, w * h);
        for (int y = 1; y < h - 1; y++)
            for (int x = 1; x < w - 1; x++)
            {
                int i = y * w + x;
                double expected = 0.5 * a[i] + 0.125 * ((double)a[i - 1] + a[i + 1] + a[i - w] + a[i + w]);
                Assert.That(got[i], Is.EqualTo(expected).Within(1e-6));
            }
        Assert.That(got[0], Is.Zero);
    }

    [Test]
    public void ReduceWithBarriers()
    {
        int n = 54321;
        int[] a = Ints(n);
        ulong da = m.Array<int>(a), db = m.Zeroed<int>(13);
        m.Run(m.Function(module, "reduce"), 13, 256, n, da, db);
        Assert.That(Machine.Span<int>(db, 13).ToArray().Sum(), Is.EqualTo(a.Sum()));
    }

    [Test]
    public void Matmul()
    {
        int n = 64;
        float[] a = Floats(n * n), b = Floats(n * n);
        ulong da = m.Array<float>(a), db = m.Array<float>(b), dc = m.Zeroed<float>(n * n);
        Machine.Ok(m.TryLaunch(m.Function(module, "matmul"), (4, 4, 1), (16, 16, 1), 0, default, n, da, db, dc));
        Machine.Ok(m.Device.cuCtxSynchronize());
        Span<float> got = Machine.Span<float>(dc, n * n);
        for (int r = 0; r < n; r++)
            for (int c = 0; c < n; c++)
            {
                float sum = 0;
                for (int k = 0; k < n; k++) sum = MathF.FusedMultiplyAdd(a[r * n + k], b[k * n + c], sum);
                Assert.That(got[r * n + c], Is.EqualTo(sum));
            }
    }

    [Test]
    public void HistogramWithSharedAtomics()
    {
        int n = 100_003;
        byte[] a = new byte[n];
        Random.NextBytes(a);
        ulong da = m.Array<byte>(a), dh = m.Zeroed<uint>(256);
        m.Run(m.Function(module, "hist"), 7, 256, n, da, dh);
        uint[] expected = new uint[256];
        foreach (byte v in a) expected[v]++;
        Assert.That(Machine.Span<uint>(dh, 256).ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void Collatz()
    {
        int n = 3000;
        ulong d = m.Zeroed<uint>(n);
        m.Run(m.Function(module, "collatz"), (uint)(n + 127) / 128, 128, n, d);
        for (int i = 0; i < n; i++)
        {
            uint v = (uint)i + 1, s = 0;
            while (v != 1) { v = (v & 1) != 0 ? 3 * v + 1 : v / 2; s++; }
            Assert.That(Machine.Span<uint>(d, n)[i], Is.EqualTo(s));
        }
    }

    [Test]
    public void ScanWithShuffles()
    {
        int[] a = Ints(1024);
        ulong da = m.Array<int>(a), db = m.Zeroed<int>(1024);
        m.Run(m.Function(module, "scan"), 4, 256, da, db);
        for (int w = 0; w < 1024; w += 32)
        {
            int sum = 0;
            for (int i = w; i < w + 32; i++) Assert.That(Machine.Span<int>(db, 1024)[i], Is.EqualTo(sum += a[i]));
        }
    }

    [Test]
    public void Votes()
    {
        int[] a = Ints(256, -10, 100);
        ulong da = m.Array<int>(a), db = m.Zeroed<uint>(256 * 3);
        m.Run(m.Function(module, "votes"), 2, 128, da, db);
        Span<uint> got = Machine.Span<uint>(db, 768);
        for (int i = 0; i < 256; i++)
        {
            int[] warp = a[(i & ~31)..((i & ~31) + 32)];
            uint ballot = 0;
            for (int l = 0; l < 32; l++) if (warp[l] > 0) ballot |= 1u << l;
            Assert.That(got[i * 3], Is.EqualTo(ballot));
            Assert.That(got[i * 3 + 1] != 0, Is.EqualTo(warp.All(v => v > -5)));
            Assert.That(got[i * 3 + 2] != 0, Is.EqualTo(warp.Any(v => v > 90)));
        }
    }

    [Test]
    public void GlobalsConstantsAndAddressesInInitialisers()
    {
        ulong d = m.Zeroed<float>(4);
        (ulong table, ulong bytes) = m.Global(module, "table");
        Assert.That(bytes, Is.EqualTo(16));
        m.Run(m.Function(module, "globals"), 1, 4, d);
        // one thread after the other: thread 2 has cleared table[2] when thread 3 reads *where
        Assert.That(Machine.Span<float>(d, 4).ToArray(), Is.EqualTo(new[] { 302.5f, 350f, 1050f, 10000f }));
        Assert.That(Machine.Span<int>(table, 4).ToArray(), Is.All.Zero);
        m.Run(m.Function(module, "globals"), 1, 4, d);
        Assert.That(Machine.Span<float>(d, 4).ToArray(), Is.All.Zero);
    }

    [Test]
    public void LocalArrays()
    {
        int n = 256;
        int[] a = Ints(n, 0, 1000);
        ulong da = m.Array<int>(a), db = m.Zeroed<int>(n);
        m.Run(m.Function(module, "locals"), 2, 128, n, da, db);
        for (int i = 0; i < n; i++)
        {
            int x = 0;
            for (int k = 0; k < 16; k++) x += a[(i + (a[i] + k * 7 & 15)) % n] * k;
            Assert.That(Machine.Span<int>(db, n)[i], Is.EqualTo(x));
        }
    }

    [Test]
    public void RecursiveFunctions()
    {
        ulong d = m.Zeroed<int>(16);
        m.Run(m.Function(module, "recursion"), 1, 16, d);
        Assert.That(Machine.Span<int>(d, 16).ToArray(), Is.EqualTo(new[] { 0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610 }));
    }

    [Test]
    public void Printf()
    {
        m.Output();
        m.Run(m.Function(module, "print"), 2, 32, 42);
        Assert.That(m.Output(), Is.EqualTo("n=42 d=1.500 s=text %\nn=42 d=1.500 s=text %\n"));
    }

    [Test]
    public void DynamicSharedMemory()
    {
        ulong d = m.Zeroed<int>(200);
        Machine.Ok(m.TryLaunch(m.Function(module, "dynamic"), (1, 1, 1), (200, 1, 1), 800, default, 3, d));
        Machine.Ok(m.Device.cuCtxSynchronize());
        Assert.That(Machine.Span<int>(d, 200).ToArray(), Is.EqualTo(Enumerable.Range(0, 200).Select(i => (199 - i) * 3)));
    }

    [Test]
    public void SpinLockBetweenAllThreads()
    {
        ulong l = m.Zeroed<int>(2), c = m.Zeroed<int>(1);
        m.Run(m.Function(module, "spinlock"), 8, 64, l, c);
        Assert.That(Machine.Span<int>(c, 1)[0], Is.EqualTo(512));
    }

    [Test]
    public void ThreadWaitsForLaterThread()
    {
        ulong f = m.Zeroed<int>(1), o = m.Zeroed<int>(1);
        m.Run(m.Function(module, "flag"), 1, 64, f, o);
        Assert.That(Machine.Span<int>(o, 1)[0], Is.EqualTo(7));
    }

    [Test]
    public void BlockWaitsForLaterBlock()
    {
        ulong f = m.Zeroed<int>(64);
        m.Run(m.Function(module, "chain"), 50, 1, f);
        Assert.That(Machine.Span<int>(f, 50).ToArray(), Is.All.EqualTo(1));
    }

    /// <summary>All lanes store, all fence, one raises the flag for which another block waits: nothing but the warp itself makes the lanes meet (cuBLAS's trsv).</summary>
    [Test]
    public void AWarpPublishesAsOne()
    {
        const int pairs = 2, rounds = 200;
        ulong data = m.Zeroed<int>(pairs * 32), flags = m.Zeroed<int>(pairs * 2), wrong = m.Zeroed<int>(pairs * 64);
        m.Run(m.Function(module, "publish"), pairs * 2, 32, rounds, data, flags, wrong);
        Assert.That(Machine.Span<int>(data, pairs * 32).ToArray(), Is.All.EqualTo(rounds));
        Assert.That(Machine.Span<int>(wrong, pairs * 64).ToArray(), Is.All.Zero);
    }
}
