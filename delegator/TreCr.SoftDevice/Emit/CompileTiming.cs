using System.Diagnostics;
using System.Globalization;
using System.Runtime;

namespace TreCr.SoftDevice.Emit;

/// <summary>What loading modules and compiling kernels takes: a line for each step on stderr where TRECR_SOFT_TIMING is 1, with tabs between step, name, milliseconds, size, and what RyuJIT has taken in all so far.</summary>
static class CompileTiming
{
    static readonly bool Wanted = Environment.GetEnvironmentVariable("TRECR_SOFT_TIMING") == "1";

    /// <summary>When a step begins; 0 where nobody wants to know.</summary>
    public static long Start() => Wanted ? Stopwatch.GetTimestamp() : 0;

    /// <param name="size">bytes of text, or instructions</param>
    public static void Tell(string step, string name, long since, int size)
    {
        if (Wanted) Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"soft-timing\t{step}\t{name}\t{Stopwatch.GetElapsedTime(since).TotalMilliseconds:f3}\t{size}\t{JitInfo.GetCompilationTime().TotalMilliseconds:f1}"));
    }
}
