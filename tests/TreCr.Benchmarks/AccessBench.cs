using System.Globalization;

namespace TreCr.Benchmarks;

/// <summary>Kernels on the software device with address checks against the same without, through NVIDIA's libcudart, wrapper, ring and delegator (issue 3, proof 4).</summary>
internal static class AccessBench
{
    public static void Run(Bench bench)
    {
        string program = bench.CompileCuda("access");
        Dictionary<string, List<(double Checked, double Unchecked)>> rows = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            Dictionary<string, double> with = Parse(bench.Run(120, bench.Trecr, "run", "--device", "soft", "--", program));
            Dictionary<string, double> without = Parse(bench.Run(120, "env", "TRECR_SOFT_UNCHECKED=1", bench.Trecr, "run", "--device", "soft", "--", program));
            foreach ((string kernel, double ns) in with)
            {
                if (!rows.TryGetValue(kernel, out List<(double, double)>? row)) rows[kernel] = row = [];
                row.Add((ns, without[kernel]));
            }
        }
        foreach ((string kernel, List<(double Checked, double Unchecked)> row) in rows)
        {
            bench.Row($"access: {kernel}, unchecked", "ns", row.Select(r => r.Unchecked));
            bench.Row($"access: {kernel}, checked", "ns", row.Select(r => r.Checked));
            bench.Row($"access: {kernel}, ratio", "x", row.Select(r => r.Checked / r.Unchecked));
        }
    }

    private static Dictionary<string, double> Parse(string output)
        => output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')).ToDictionary(w => w[0], w => double.Parse(w[1], CultureInfo.InvariantCulture));
}
