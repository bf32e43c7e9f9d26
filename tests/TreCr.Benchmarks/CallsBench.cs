using System.Globalization;

namespace TreCr.Benchmarks;

/// <summary>ns per enqueued call and µs per waiting call as the caller sees them, beside the same exchange through a Unix socket.</summary>
internal static class CallsBench
{
    public static void Run(Bench bench)
    {
        string program = bench.Compile("calls");
        List<(double Ns, double Us)> ring = [], socket = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            socket.Add(Parse(bench.Run(120, program, "--socket")));
            ring.Add(Parse(bench.Run(120, bench.Trecr, "run", "--", program)));
        }
        bench.Row("calls: enqueued call", "ns", ring.Select(r => r.Ns));
        bench.Row("calls: enqueued call, Unix socket", "ns", socket.Select(r => r.Ns));
        bench.Row("calls: waiting call", "us", ring.Select(r => r.Us));
        bench.Row("calls: waiting call, Unix socket", "us", socket.Select(r => r.Us));
        FamiliesBench.Run(bench);
    }

    private static (double Ns, double Us) Parse(string output)
    {
        string[] words = output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return (double.Parse(words[1], CultureInfo.InvariantCulture), double.Parse(words[3], CultureInfo.InvariantCulture));
    }
}
