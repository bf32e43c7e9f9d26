using System.Diagnostics;
using System.Text;

namespace TreCr.SoftDevice.Tests;

/// <summary>Compiles CUDA C++ to PTX, and C++ to a host library, with clang-19; no CUDA headers needed.</summary>
static class Clang
{
    /// <summary>What cuda_runtime.h would declare, as far as the tests need it.</summary>
    public const string Prelude = """
        #define __global__ __attribute__((global))
        #define __device__ __attribute__((device))
        #define __shared__ __attribute__((shared))
        #define __constant__ __attribute__((constant))
        #define TX __nvvm_read_ptx_sreg_tid_x()
        #define TY __nvvm_read_ptx_sreg_tid_y()
        #define TZ __nvvm_read_ptx_sreg_tid_z()
        #define BX __nvvm_read_ptx_sreg_ctaid_x()
        #define BY __nvvm_read_ptx_sreg_ctaid_y()
        #define BZ __nvvm_read_ptx_sreg_ctaid_z()
        #define NX __nvvm_read_ptx_sreg_ntid_x()
        #define NY __nvvm_read_ptx_sreg_ntid_y()
        #define GX __nvvm_read_ptx_sreg_nctaid_x()
        #define GY __nvvm_read_ptx_sreg_nctaid_y()
        extern "C" __device__ void __syncthreads(void);
        extern "C" __device__ int vprintf(const char*, const char*);
        typedef unsigned uint; typedef unsigned long long u64; typedef long long s64;

        """;

    public static string Ptx(string source, string options = "")
    {
        string dir = Directory.CreateTempSubdirectory("trecr-ptx").FullName;
        try
        {
            File.WriteAllText(Path.Combine(dir, "k.cu"), Prelude + source);
            Run(dir, $"-x cuda --cuda-device-only --cuda-gpu-arch=sm_70 -Xclang -target-feature -Xclang +ptx64 -nocudainc -nocudalib -O2 -S {options} -o k.ptx k.cu");
            return File.ReadAllText(Path.Combine(dir, "k.ptx"));
        }
        finally
        {
            Directory.Delete(dir, true);
        }
    }

    /// <summary>A shared library of C++ for this machine; contraction off, so that floats round as written.</summary>
    public static string HostLibrary(string source, string directory, string name = "host")
    {
        File.WriteAllText(Path.Combine(directory, name + ".cpp"), source);
        Run(directory, $"-x c++ -O1 -ffp-contract=off -mfma -fwrapv -fno-strict-aliasing -shared -fPIC -nostdinc++ -o {name}.so {name}.cpp");
        return Path.Combine(directory, name + ".so");
    }

    static void Run(string dir, string arguments)
    {
        using Process p = Process.Start(new ProcessStartInfo("clang-19", arguments) { WorkingDirectory = dir, RedirectStandardError = true })!;
        string errors = p.StandardError.ReadToEnd();
        if (!p.WaitForExit(60_000)) p.Kill();
        if (p.ExitCode != 0) throw new InvalidOperationException("clang-19 failed: " + errors);
    }
}
