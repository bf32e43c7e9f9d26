using TreCr.Api;
using TreCr.Api.Gpi;
using TreCr.Api.Scr.Commands;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>The command line.</summary>
internal static class Program
{
    private static int Main(string[] words)
    {
        string name = Path.GetFileName(Environment.GetCommandLineArgs()[0]);
        if (name == HelperProcess.ProgramName) return HelperProcess.Main(words);
        if (name == GpiHelper.ProgramName) return GpiHelper.Main(words);
        if (name == GaspiRun.ProgramName) return GaspiRun.Main(words);
        if (ScrCommand.IsName(name)) return ScrCommand.Main(name, words);
        if (words.Length == 0) { PrintHelp(); return 2; }
        if (words[0] is "--help" or "-h" or "help") { PrintHelp(); return 0; }
        if (words[0] is "--version" or "version") return VersionVerb.Print(words.Contains("--json"));
        bool starts = words[0] is "run" or "restart";
        Fault.Role = starts ? "supervisor" : words[0] is "engine" or "coordinator" ? words[0] : "command";
        bool json = Array.IndexOf(words, "--json") is var at && at > 0 && (Array.IndexOf(words, "--") is var end && (end < 0 || at < end));
        try
        {
            Verb verb = Verbs.Find(words[0]);
            Arguments arguments = new(verb, words.AsSpan(1));
            if (arguments.Has("--help")) { verb.PrintHelp(); return 0; }
            int code = verb.Run(arguments);
            if (RunVerb.RestartInPlace is { } again)
            {
                Thread.Sleep(again.DelayMs);
                JobJournal.Flush();
                Sys.Execute(Installation.Trecr, again.Words, [.. OwnEnvironment.Words()]);
            }
            JobJournal.Flush();
            if (RunVerb.EndSignal != 0) Sys.EndBySignal(RunVerb.EndSignal);
            return code;
        }
        catch (Exception e)
        {
            (TrecrError error, string message, IReadOnlyList<string> findings) = Explain(e);
            int exit = words[0] == "run" ? error.RunExitCode : error.ExitCode;
            Output.Error(error, message, findings);
            if (json && !starts)
                Output.Json("trecr.error/1", j =>
                {
                    j.WriteString("error", $"TRECR-{error.Number:d4}");
                    j.WriteString("message", message);
                    j.WriteNumber("exit_code", exit);
                    j.WriteStartArray("findings");
                    foreach (string finding in findings) j.WriteStringValue(finding);
                    j.WriteEndArray();
                });
            JobJournal.Flush();
            if (RunVerb.EndSignal != 0) Sys.EndBySignal(RunVerb.EndSignal);
            return exit;
        }
    }

    /// <summary>Number and text of any failure.</summary>
    public static (TrecrError Error, string Message, IReadOnlyList<string> Findings) Explain(Exception e) => e switch
    {
        AggregateException { InnerException: { } inner } => Explain(inner),
        TrecrException t => (t.Error, t.Message, t.Findings),
        StoreException s => (StoreErrors.For(s.Kind), s.Message, []),
        ImageException i => (TrecrError.BadImage, i.Message, []),
        LinuxException { ErrorNumber: Errno.ENOSPC or Errno.EDQUOT } l => (TrecrError.NoSpace, l.Message, []),
        LinuxException l => (TrecrError.System, l.Message, []),
        IOException or UnauthorizedAccessException => (TrecrError.System, e.Message, []),
        _ => (TrecrError.Internal, $"unexpected failure: {e.GetType().Name}: {e.Message}{(Environment.GetEnvironmentVariable("TRECR_DEBUG") is null ? "" : e.StackTrace)}", []),
    };

    private static void PrintHelp()
    {
        Output.Line("usage: trecr VERB [OPTIONS] ...");
        Output.Line("  Checkpoints and restarts unmodified CUDA programs.");
        Output.Line();
        foreach (Verb verb in Verbs.All.Where(v => !v.Hidden)) Output.Line($"  {$"{verb.Name} {verb.Operands}",-44} {verb.Summary}");
        Output.Line();
        Output.Line("  trecr VERB --help     options and examples of a verb");
        Output.Line("  trecr --version       version, commit, formats");
        Output.Line();
        Output.Line("examples:");
        Output.Line("  trecr run --job heat -- ./heat2d 4096");
        Output.Line("  trecr checkpoint heat --stop");
        Output.Line("  trecr restart heat");
        Output.Line("  trecr list");
    }
}
