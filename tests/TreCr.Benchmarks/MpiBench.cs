using System.Globalization;

namespace TreCr.Benchmarks;

/// <summary>
/// Messages and collective calls of two ranks below trecr and below the library alone, alternately, for each library that is installed. With a
/// delegator beside each rank there are more processes than two processors: the rows say what that does too.
/// </summary>
internal static class MpiBench
{
    private const int Seconds = 120, Ranks = 2;

    public static void Run(Bench bench)
    {
        Environment.SetEnvironmentVariable("OMPI_ALLOW_RUN_AS_ROOT", "1");
        Environment.SetEnvironmentVariable("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        foreach (string library in (string[])["openmpi", "mpich"])
        {
            if (!File.Exists($"/usr/bin/mpirun.{library}") || !File.Exists($"/usr/bin/mpicc.{library}"))
            {
                Console.WriteLine($"mpi, {library}: not measured: not installed");
                continue;
            }
            string program = Path.Combine(bench.Scratch, $"mpi.{library}");
            bench.Run(60, $"/usr/bin/mpicc.{library}", "-O2", "-w", "-o", program, Path.Combine(AppContext.BaseDirectory, "programs", "mpi.c"));
            string[] launch = library == "openmpi" ? ["-n", $"{Ranks}", "--oversubscribe", "--bind-to", "none"] : ["-n", $"{Ranks}"];
            SortedDictionary<string, List<double>> native = [], under = [];
            for (int i = 0; i < Bench.Runs; i++)
            {
                Collect(bench.Run(Seconds, $"/usr/bin/mpirun.{library}", [.. launch, program]), native);
                Collect(bench.Run(Seconds, $"/usr/bin/mpirun.{library}", [.. launch, bench.Trecr, "run", "--", program]), under);
            }
            foreach ((string name, List<double> values) in native)
            {
                bench.Row($"mpi: {library}, {name}, native", "us", values);
                bench.Row($"mpi: {library}, {name}, under trecr", "us", under[name]);
                bench.Row($"mpi: {library}, {name}, under trecr / native", "x", values.Zip(under[name], (n, u) => u / n));
            }
        }
    }

    private static void Collect(string output, SortedDictionary<string, List<double>> into)
    {
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] sides = line.Split(' ');
            if (!into.TryGetValue(sides[0], out List<double>? list)) into[sides[0]] = list = [];
            list.Add(double.Parse(sides[1], CultureInfo.InvariantCulture));
        }
    }
}
