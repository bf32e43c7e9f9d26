using System.Diagnostics;
using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>Time of checked against unchecked accesses. Not part of a test run: <c>dotnet test --filter CheckBench</c>.</summary>
[Explicit("a measurement"), CancelAfter(300_000)]
public sealed class CheckBench
{
    const string Source = """
        struct __attribute__((aligned(16))) f4 { float x, y, z, w; };
        extern "C" {
        __global__ void saxpy(int n, float a, const float* x, float* y) { int i = BX*NX+TX; if (i < n) y[i] = a*x[i]+y[i]; }
        __global__ void stencil(int w, int h, const float* in, float* out) {
          int x=BX*NX+TX, y=BY*NY+TY; if (x<=0||y<=0||x>=w-1||y>=h-1) return; int i=y*w+x;
          out[i]=0.5f*in[i]+0.125f*(in[i-1]+in[i+1]+in[i-w]+in[i+w]); }
        __global__ void nbody(int n, const f4* p, f4* acc) {
          int i=BX*NX+TX; if (i>=n) return; f4 me=p[i]; float ax=0,ay=0,az=0;
          for (int j=0;j<n;j++) { f4 o=p[j]; float dx=o.x-me.x,dy=o.y-me.y,dz=o.z-me.z; float r2=dx*dx+dy*dy+dz*dz+0.01f;
            float inv=__nvvm_rsqrt_approx_f(r2); float s=o.w*inv*inv*inv; ax+=dx*s; ay+=dy*s; az+=dz*s; }
          f4 r; r.x=ax; r.y=ay; r.z=az; r.w=0; acc[i]=r; }
        __global__ void reduce(int n, const int* in, int* out) {
          __shared__ int s[256]; int t=TX; int v=0; for (int i=BX*256+t;i<n;i+=GX*256) v+=in[i]; s[t]=v; __syncthreads();
          for (int k=128;k>0;k>>=1) { if (t<k) s[t]+=s[t+k]; __syncthreads(); }
          if (t==0) out[BX]=s[0]; }
        }
        """;

    [Test]
    public unsafe void CheckedAgainstUnchecked()
    {
        string ptx = Clang.Ptx(Source);
        string[] names = ["saxpy", "stencil", "nbody", "reduce"];
        using Machine m = new(32 << 20);
        int n = 1 << 18, w = 512, bodies = 1024;
        ulong a = m.Zeroed<float>(n), b = m.Zeroed<float>(n), p = m.Zeroed<float>(bodies * 4), q = m.Zeroed<float>(bodies * 4);
        CUfunction[,] f = new CUfunction[2, 4];
        for (int mode = 0; mode < 2; mode++)
        {
            CUmodule module = m.Load(ptx);
            m.Device.IsChecked = mode == 0;
            for (int k = 0; k < 4; k++)
            {
                f[mode, k] = m.Function(module, names[k]);
                Launch(k, f[mode, k]);
            }
        }
        const int Rounds = 9, Repeats = 15;
        for (int k = 0; k < 4; k++)
        {
            List<double> ratios = [], nanoseconds = [];
            double threads = k switch { 1 => (double)w * w, 2 => (double)bodies * bodies, _ => n };
            // Alternating, and the best of some in each round: other jobs share the machine.
            for (int r = 0; r < Rounds; r++)
            {
                double[] best = [double.MaxValue, double.MaxValue];
                for (int repeat = 0; repeat < 2 * Repeats; repeat++)
                {
                    long start = Stopwatch.GetTimestamp();
                    Launch(k, f[repeat & 1, k]);
                    best[repeat & 1] = Math.Min(best[repeat & 1], Stopwatch.GetElapsedTime(start).TotalNanoseconds);
                }
                ratios.Add(best[0] / best[1]);
                nanoseconds.Add(best[0] / threads);
            }
            ratios.Sort();
            nanoseconds.Sort();
            TestContext.Out.WriteLine($"{names[k],-8} checked {nanoseconds[Rounds / 2]:F3} ns per {(k == 2 ? "interaction" : "thread")} (2 workers); checked : unchecked {ratios[Rounds / 2]:F3} (min {ratios[0]:F3}, max {ratios[^1]:F3})");
        }

        void Launch(int k, CUfunction f)
        {
            Machine.Ok(k switch
            {
                0 => m.TryLaunch(f, ((uint)n / 256, 1, 1), (256, 1, 1), 0, default, n, 1.5f, a, b),
                1 => m.TryLaunch(f, ((uint)w / 32, (uint)w / 8, 1), (32, 8, 1), 0, default, w, w, a, b),
                2 => m.TryLaunch(f, ((uint)bodies / 128, 1, 1), (128, 1, 1), 0, default, bodies, p, q),
                _ => m.TryLaunch(f, (64, 1, 1), (256, 1, 1), 0, default, n, a, b),
            });
            Machine.Ok(m.Device.cuCtxSynchronize());
        }
    }
}
