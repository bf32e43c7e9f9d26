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
        double[,] times = new double[2, 4];
        string[] names = ["saxpy", "stencil", "nbody", "reduce"];
        List<double>[,] all = new List<double>[2, 4];
        for (int round = 0; round < 5; round++)
            for (int mode = 0; mode < 2; mode++)
            {
                using Machine m = new(256 << 20, isChecked: mode == 0);
                CUmodule module = m.Load(ptx);
                int n = 1 << 22, w = 2048, bodies = 2048;
                ulong a = m.Zeroed<float>(n), b = m.Zeroed<float>(n), p = m.Zeroed<float>(bodies * 4), q = m.Zeroed<float>(bodies * 4);
                for (int k = 0; k < 4; k++)
                {
                    CUfunction f = m.Function(module, names[k]);
                    double best = double.MaxValue;
                    for (int r = 0; r < 6; r++)
                    {
                        long start = Stopwatch.GetTimestamp();
                        Machine.Ok(k switch
                        {
                            0 => m.TryLaunch(f, ((uint)n / 256, 1, 1), (256, 1, 1), 0, default, n, 1.5f, a, b),
                            1 => m.TryLaunch(f, ((uint)w / 32, (uint)w / 8, 1), (32, 8, 1), 0, default, w, w, a, b),
                            2 => m.TryLaunch(f, ((uint)bodies / 128, 1, 1), (128, 1, 1), 0, default, bodies, p, q),
                            _ => m.TryLaunch(f, (1024, 1, 1), (256, 1, 1), 0, default, n, a, b),
                        });
                        Machine.Ok(m.Device.cuCtxSynchronize());
                        best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalNanoseconds);
                    }
                    double threads = k switch { 0 => n, 1 => (double)w * w, 2 => (double)bodies * bodies, _ => n };
                    (all[mode, k] ??= []).Add(best / threads);
                }
            }
        for (int k = 0; k < 4; k++)
        {
            double c = all[0, k].Order().ElementAt(2), u = all[1, k].Order().ElementAt(2);
            TestContext.Out.WriteLine($"{names[k],-8} checked {c:F3} ns, unchecked {u:F3} ns per {(k == 2 ? "interaction" : "thread")} (2 workers), ratio {c / u:F3}");
        }
    }
}
