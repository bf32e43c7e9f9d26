using TreCr.Benchmarks;

// trecr-bench OUT_DIRECTORY [NAME]: runs one benchmark or all, native or peer and TreCr alternately (testing.md, "Measuring").
if (args.Length is < 1 or > 2)
{
    Console.Error.WriteLine("usage: trecr-bench OUT_DIRECTORY [calls|checkpoint|access|process|device|start|store|mpi]");
    return 2;
}

Bench bench = new(Path.GetFullPath(args[0]));
Dictionary<string, Action<Bench>> all = new() { ["calls"] = CallsBench.Run, ["checkpoint"] = CheckpointBench.Run, ["access"] = AccessBench.Run, ["process"] = ProcessBench.Run, ["device"] = DeviceBench.Run, ["start"] = StartBench.Run, ["store"] = StoreBench.Run, ["mpi"] = MpiBench.Run };
if (args.Length == 2 && !all.ContainsKey(args[1]))
{
    Console.Error.WriteLine($"trecr-bench: no benchmark {args[1]}; there are: {string.Join(", ", all.Keys)}");
    return 2;
}

bench.PrintMachine();
try
{
    foreach ((string name, Action<Bench> run) in all)
        if (args.Length == 1 || args[1] == name) run(bench);
    return 0;
}
finally { Directory.Delete(bench.Scratch, recursive: true); }
