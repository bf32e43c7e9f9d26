using System.Diagnostics;
using System.Security.Cryptography;

namespace TreCr.Process.Host;

/// <summary>A program on CoreCLR to be dumped and restored: compiled code, garbage, the thread pool, timers, async work, a child process; until standard input ends.</summary>
internal static class Workload
{
    public static async Task<int> Run()
    {
        string nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        Dictionary<string, int[]> table = Enumerable.Range(0, 20_000).ToDictionary(i => nonce + i, i => new[] { i, i * i });
        using CancellationTokenSource over = new();
        int first = Hot(100_000), ticks = 0;
        using Timer timer = new(_ => Interlocked.Increment(ref ticks), null, 5, 5);
        Task<long>[] workers = [.. Enumerable.Range(0, 3).Select(i => Task.Run(() => Churn(i, first, over.Token)))];
        using System.Diagnostics.Process child = System.Diagnostics.Process.Start(new ProcessStartInfo("cat") { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        Task ended = Task.Run(() => { while (Console.OpenStandardInput().ReadByte() >= 0) { } });
        Console.WriteLine($"ready {nonce}");
        long n = 0;
        while (!ended.IsCompleted || n < 4 || ticks < 2)
        {
            n++;
            await child.StandardInput.WriteLineAsync($"line {n}");
            await child.StandardInput.FlushAsync();
            if (await child.StandardOutput.ReadLineAsync() != $"line {n}") return Failed("child");
            int i = (int)(n * 7919 % 20_000);
            if (table[nonce + i] is not [var a, var b] || a != i || b != i * i) return Failed("table");
            await Task.Delay(1);
            if (n % 50 == 0) GC.Collect();
        }
        over.Cancel();
        long[] counts = await Task.WhenAll(workers);
        child.StandardInput.Close();
        await child.WaitForExitAsync();
        if (counts.Any(c => c <= 0) || child.ExitCode != 0) return Failed("counts or status");
        Console.WriteLine($"done {nonce}");
        return 0;
    }

    private static int Failed(string what)
    {
        Console.WriteLine($"FAILED {what}");
        return 1;
    }

    private static int Hot(int n)
    {
        int s = 0;
        for (int i = 0; i < n; i++) s = s * 31 + i;
        return s;
    }

    private static async Task<long> Churn(int id, int first, CancellationToken over)
    {
        long count = 0;
        do
        {
            byte[] junk = new byte[10_000 + id];
            junk[id] = 1;
            count += Hot(100_000) == first ? junk[id] : long.MinValue / 2;
            await Task.Yield();
        }
        while (!over.IsCancellationRequested);
        return count;
    }
}
