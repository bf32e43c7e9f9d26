using System.Text.RegularExpressions;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Surface.Tests;

/// <summary>The C program of Programs/: its cases as the sources name them, compiled once, run under trecr.</summary>
internal static partial class SurfaceProgram
{
    /// <summary>One named case and the functions that it proves.</summary>
    /// <param name="Kept">makes something that is looked for after a restart</param>
    public sealed record Case(string Name, string[] Functions, bool Kept);

    /// <summary>For all cases, or a dozen processes with a delegator each.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(6);

    private const string Folder = "tests/TreCr.Surface.Tests/Programs";
    private static readonly Lazy<string> s_program = new(Compile);

    public static Case[] Cases { get; } = [.. Sources().SelectMany(s => Declared().Matches(File.ReadAllText(s)))
        .Select(m => new Case(m.Groups[2].Value, m.Groups[3].Value.Split([' ', '\n', '"'], StringSplitOptions.RemoveEmptyEntries), m.Groups[1].Value == "KEPT"))];

    [GeneratedRegex("""^(CASE|EARLY|KEPT)\((\w+), ("[^"]*"(?:\s+"[^"]*")*)\)""", RegexOptions.Multiline)]
    private static partial Regex Declared();

    [GeneratedRegex(@"^- (\w+)", RegexOptions.Multiline)]
    private static partial Regex Implemented();

    /// <summary>Names that SUPPORTED.md calls implemented.</summary>
    public static string[] Functions { get; } = [.. Implemented().Matches(Repository.Read("SUPPORTED.md")).Select(m => m.Groups[1].Value)];

    /// <summary>As a sample, for <see cref="Job"/>.</summary>
    public static Sample AsSample(params string[] arguments) => new("surface", arguments, "cases: ", 0) { Path = s_program.Value };

    /// <summary>The cases want two devices.</summary>
    public static void Prepare(Job job) => job.Environment["TRECR_SOFT_DEVICES"] = "2";

    /// <summary>Runs to the end.</summary>
    /// <returns>standard output</returns>
    public static string[] Run(TimeSpan limit, params string[] arguments)
    {
        using Job job = new(AsSample(arguments));
        Prepare(job);
        using RunningProgram run = job.Run(held: false);
        run.WaitForExit(limit);
        return [.. run.Output, .. run.Errors.Split('\n')];
    }

    /// <summary>
    /// Replaces functions one by one. That a wait does nothing is seen by what is not done when it returns: where the machine was elsewhere for as long as the work takes, it is done
    /// all the same, so a function that nobody missed is replaced again, a few times.
    /// </summary>
    /// <returns>function, and the case that failed with its reason; an empty case: none did</returns>
    public static Dictionary<string, (string Case, string Reason)> Stub(IEnumerable<string> functions, TimeSpan limit)
    {
        const int Attempts = 5;
        Dictionary<string, (string Case, string Reason)> found = StubOnce(functions, limit);
        for (int i = 1; i < Attempts && found.Where(f => f.Value.Case.Length == 0).Select(f => f.Key).ToArray() is { Length: > 0 } missed; i++)
            foreach ((string function, (string Case, string Reason) seen) in StubOnce(missed, limit)) found[function] = seen;
        return found;
    }

    private static Dictionary<string, (string Case, string Reason)> StubOnce(IEnumerable<string> functions, TimeSpan limit)
        => Run(limit, ["stubs", .. functions]).Where(l => l.StartsWith("stub ")).Select(l => l.Split(' ', 4))
            .ToDictionary(w => w[1].TrimEnd(':'), w => (w[2] == "-" ? "" : w[2], w.Length > 3 ? w[3] : ""));

    private static IEnumerable<string> Sources() => Directory.EnumerateFiles(Path.Combine(Repository.Root, Folder), "*.c").Order();

    private static string Compile()
    {
        string program = Path.Combine(Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/surface")).FullName, "surface");
        // Cases run in the order of the sources: those of the driver's start first.
        string[] first = ["main.c", "kernels.c", "device.c", "reset.c"];
        IEnumerable<string> sources = Sources().OrderBy(s => Array.IndexOf(first, Path.GetFileName(s)) is var at and >= 0 ? at : first.Length);
        using RunningProgram gcc = new("gcc", ["-O1", "-Wall", "-Werror", "-pthread", "-o", program + ".new", .. sources, "-ldl"], new Dictionary<string, string>());
        Assert.That(gcc.WaitForExit(Job.Limit), Is.Zero, gcc.Errors);
        File.Move(program + ".new", program, true);
        return program;
    }
}
