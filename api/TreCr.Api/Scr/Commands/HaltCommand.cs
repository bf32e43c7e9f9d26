using System.Globalization;

namespace TreCr.Api.Scr.Commands;

/// <summary>scr_halt: sets, lists and removes the conditions under which a job ends.</summary>
internal static class HaltCommand
{
    public static int Run(string[] words)
    {
        CommandOptions options = new(words, ["checkpoints|c=", "before|b=", "after|a=", "immediate|i", "seconds|s=", "list|l", "remove|r", "unset-checkpoints", "unset-before", "unset-after", "unset-seconds", "unset-reason", "verbose|v"]);
        foreach (string? directory in options.Words.Count > 0 ? options.Words.Cast<string?>() : [null]) Run(options, new HaltFile(ScrCommand.Directory(directory)));
        return 0;
    }

    private static void Run(CommandOptions options, HaltFile file)
    {
        if (options.Has("remove"))
        {
            File.Delete(file.Location);
            return;
        }
        if (options.Has("list"))
        {
            List(file);
            return;
        }
        List<Action<KvTree>> changes = [];
        if (options["checkpoints"] is { } count) changes.Add(t => t.Set(HaltFile.Checkpoints, Number(count)));
        if (options["before"] is { } before) changes.Add(t => t.Set(HaltFile.Before, Time(before)));
        if (options["after"] is { } after) changes.Add(t => t.Set(HaltFile.After, Time(after)));
        if (options["seconds"] is { } seconds) changes.Add(t => t.Set(HaltFile.Seconds, Number(seconds)));
        foreach ((string option, string key) in ((string, string)[])[("unset-checkpoints", HaltFile.Checkpoints), ("unset-before", HaltFile.Before), ("unset-after", HaltFile.After), ("unset-seconds", HaltFile.Seconds), ("unset-reason", HaltFile.Reason)])
            if (options.Has(option)) changes.Add(t => t.Remove(key));
        // Without anything else: after the next checkpoint.
        if (options.Has("immediate")) changes.Add(t => t.Set(HaltFile.Reason, "IMMEDIATE"));
        else if (changes.Count == 0) changes.Add(t => t.Set(HaltFile.Checkpoints, 1));
        file.Update(tree =>
        {
            foreach (Action<KvTree> change in changes) change(tree);
        });
        if (options.Has("verbose")) List(file);
    }

    private static void List(HaltFile file)
    {
        KvTree tree = file.Read();
        foreach (string key in (string[])[HaltFile.Checkpoints, HaltFile.Before, HaltFile.After, HaltFile.Seconds, HaltFile.Reason])
            if (tree.Value(key) is { } value)
                Console.WriteLine($"{key}: {(key is HaltFile.Before or HaltFile.After ? DateTimeOffset.FromUnixTimeSeconds(long.Parse(value, CultureInfo.InvariantCulture)).ToLocalTime().ToString("yyyy-MM-ddTHH:mm:ss", CultureInfo.InvariantCulture) : value)}");
    }

    private static long Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : throw new CheckpointException($"'{text}' is not a number");

    private static long Time(string text) => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out DateTimeOffset time) ? time.ToUnixTimeSeconds()
        : throw new CheckpointException($"'{text}' is not a time, as 2026-11-23T12:00:00");
}
