namespace TreCr.Cli;

/// <summary><c>trecr manual</c>: the page trecr(1), made of the same tables as <c>--help</c>; <c>./build.sh package</c> packs it.</summary>
internal static class ManualVerb
{
    public static int Run(Arguments arguments)
    {
        Output.Line($".TH TRECR 1 \"\" \"trecr {VersionVerb.Version}\"");
        Output.Line(".SH NAME\ntrecr \\- checkpoint and restart of unmodified CUDA programs");
        Output.Line(".SH SYNOPSIS");
        foreach (Verb verb in Verbs.All.Where(v => !v.Hidden)) Output.Line($".br\n.B trecr {verb.Name}\n{Escape(verb.Operands)}");
        Output.Line(".SH DESCRIPTION");
        Output.Line("A program runs under a proxy, is saved while it runs, and comes back after it was killed, to the same bytes. Results go to standard output, everything else to standard error.");
        Output.Line(".SH VERBS");
        foreach (Verb verb in Verbs.All.Where(v => !v.Hidden))
        {
            Output.Line($".SS {verb.Name} {Escape(verb.Operands)}\n{Escape(verb.Summary)}.");
            foreach (Option option in verb.Options) Output.Line($".TP\n.B {Escape(option.Name)} {Escape(option.Value)}\n{Escape(option.Help)}");
            Output.Line(".PP\nExamples:\n.nf");
            foreach (string example in verb.Examples) Output.Line($"    {Escape(example)}");
            Output.Line(".fi");
        }
        Output.Line(".SH OPTIONS OF ALL VERBS");
        foreach (Option option in Verb.Common) Output.Line($".TP\n.B {Escape(option.Name)} {Escape(option.Value)}\n{Escape(option.Help)}");
        Output.Line("""
            .SH EXIT STATUS
            Of run and restart the program's, or 128 + n for signal n; 125: TreCr failed, 126: not executable, 127: not found.
            Of the other verbs 0: done, 1: failed, 2: usage, 3: not found, 4: busy, 5: damaged, 6: no space, 7: refused, 8: wrong device or host, 9: version, 10: deadline.
            .SH ENVIRONMENT
            .TP
            .B TRECR_STORE
            the store, where \-\-store is not given
            .TP
            .B TRECR_HOME
            directory that holds trecr, trecr\-init, lib and delegator
            """);
        return 0;
    }

    /// <summary>roff takes a backslash, a minus, and a dot or quote at the begin of a line for its own.</summary>
    private static string Escape(string text) => text.Replace("\\", "\\e").Replace("-", "\\-") is var escaped && escaped.Length > 0 && escaped[0] is '.' or '\'' ? $"\\&{escaped}" : escaped;
}
