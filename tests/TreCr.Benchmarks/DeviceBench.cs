using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace TreCr.Benchmarks;

/// <summary>
/// Eight kernels on the software device, end to end through NVIDIA's libcudart, beside plain C loops (gcc -O3 -march=native -fopenmp) and beside the same kernels in OpenCL under pocl (issue 5). The results of
/// all sides are compared before a time counts. programs/device.{cu,c,cl,h}.
/// </summary>
internal static class DeviceBench
{
    /// <summary>Largest difference from the C loop's result, relative to the largest magnitude; approximations and the order of sums differ.</summary>
    private const double Tolerance = 1e-4;
    /// <summary>Share of Mandelbrot's points at the edge that may differ: there one rounding decides.</summary>
    private const double EdgePoints = 0.01;

    public static void Run(Bench bench)
    {
        string cuda = bench.CompileCuda("device"), programs = Path.Combine(AppContext.BaseDirectory, "programs");
        string c = Path.Combine(bench.Scratch, "device-c");
        bench.Run(60, "gcc", "-O3", "-march=native", "-fopenmp", "-o", c, Path.Combine(programs, "device.c"), "-ldl", "-lm");
        string? noPocl = NeedPocl();
        // What kernels take once they run as well as they can: kept ones are compiled again by RyuJIT, beside the first second of the program, and after the first run others are compiled to be kept. StartBench measures starts.
        string? cache = Environment.GetEnvironmentVariable(StartBench.CacheVariable);
        Environment.SetEnvironmentVariable(StartBench.CacheVariable, "0");
        Dictionary<string, Func<string, string>> sides = new()
        {
            ["soft"] = to => bench.Run(600, bench.Trecr, "run", "--device", "soft", "--", cuda, to),
            ["C"] = to => bench.Run(600, c, "c", to),
        };
        if (noPocl is null) sides["pocl"] = to => bench.Run(600, c, "opencl", to, Path.Combine(programs, "device.cl"));
        Dictionary<(string Side, string Kernel), List<double>> times = [];
        List<string> kernels = [];
        for (int run = 0; run < Bench.Runs; run++)
        {
            foreach ((string side, Func<string, string> start) in sides)
            {
                string to = Directory.CreateDirectory(Path.Combine(bench.Scratch, side)).FullName;
                foreach (string line in start(to).Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    string[] words = line.Split(' ');
                    if (!times.TryGetValue((side, words[0]), out List<double>? list)) times[(side, words[0])] = list = [];
                    list.Add(double.Parse(words[1], CultureInfo.InvariantCulture) / 1e6);
                    if (!kernels.Contains(words[0])) kernels.Add(words[0]);
                }
            }
            if (run > 0) continue;
            foreach (string side in sides.Keys)
                foreach (string kernel in kernels)
                    if (side != "C") Compare(Path.Combine(bench.Scratch, "C", kernel), Path.Combine(bench.Scratch, side, kernel), kernel, side);
        }
        List<double> toC = [], toPocl = [];
        foreach (string kernel in kernels)
        {
            foreach (string side in sides.Keys) bench.Row($"device: {kernel}, {side}", "ms", times[(side, kernel)]);
            toC.Add(Ratio("C", kernel));
            if (noPocl is null) toPocl.Add(Ratio("pocl", kernel));
            else Console.WriteLine($"device: {kernel}, pocl: not measured: {noPocl}");
        }
        bench.Row("device: geometric mean, soft : C", "x", [Mean(toC)]);
        if (noPocl is null) bench.Row("device: geometric mean, soft : pocl", "x", [Mean(toPocl)]);
        else Console.WriteLine($"device: geometric mean, soft : pocl: not measured: {noPocl}");

        Environment.SetEnvironmentVariable(StartBench.CacheVariable, cache);
        StartBench.Run(bench);

        // The median of the ratios of runs beside each other: what else goes on on the machine meets both.
        double Ratio(string side, string kernel)
        {
            double[] ratios = [.. times[("soft", kernel)].Zip(times[(side, kernel)], (s, o) => s / o)];
            bench.Row($"device: {kernel}, soft : {side}", "x", ratios);
            Array.Sort(ratios);
            return ratios[ratios.Length / 2];
        }
    }

    private static double Mean(List<double> ratios) => Math.Exp(ratios.Average(Math.Log));

    /// <summary>Installs pocl where it is missing and that is allowed.</summary>
    /// <returns>why there is none; null where there is</returns>
    private static string? NeedPocl()
    {
        if (Directory.Exists("/etc/OpenCL/vendors") && Directory.GetFiles("/etc/OpenCL/vendors", "pocl*").Length > 0 && NativeLibrary.TryLoad("libOpenCL.so.1", out _)) return null;
        ProcessStartInfo apt = new("apt-get", ["-qq", "-y", "--no-install-recommends", "install", "pocl-opencl-icd", "ocl-icd-libopencl1"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        apt.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        try
        {
            using Process p = Process.Start(apt)!;
            Task<string> output = p.StandardOutput.ReadToEndAsync(), errors = p.StandardError.ReadToEndAsync();
            if (!p.WaitForExit(TimeSpan.FromMinutes(10))) p.Kill(entireProcessTree: true);
            else if (p.ExitCode == 0) return null;
            return $"pocl-opencl-icd cannot be installed ({errors.Result.Split('\n')[0]})";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return $"pocl-opencl-icd cannot be installed ({e.Message})";
        }
    }

    private static void Compare(string expected, string path, string kernel, string side)
    {
        byte[] a = File.ReadAllBytes(expected), b = File.ReadAllBytes(path);
        if (kernel is "reduce" or "histogram" ? a.AsSpan().SequenceEqual(b) : a.Length == b.Length && Close(MemoryMarshal.Cast<byte, float>(a), MemoryMarshal.Cast<byte, float>(b), kernel == "mandelbrot")) return;
        throw new InvalidOperationException($"{kernel}: {side} computed something else than the C loop");
    }

    private static bool Close(ReadOnlySpan<float> a, ReadOnlySpan<float> b, bool counts)
    {
        double largest = 0, difference = 0;
        int different = 0;
        for (int i = 0; i < a.Length; i++)
        {
            if (float.IsNaN(b[i])) return false;
            largest = Math.Max(largest, Math.Abs(a[i]));
            difference = Math.Max(difference, Math.Abs((double)a[i] - b[i]));
            if (a[i] != b[i]) different++;
        }
        return counts ? different <= a.Length * EdgePoints : difference <= Tolerance * largest;
    }
}
