using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using TreCr.Control;
using TreCr.Coordinator;

namespace TreCr.Cli;

/// <summary><c>trecr report</c>: what somebody needs who looks into a problem with a job, in one archive (docs/events.md).</summary>
internal static class ReportVerb
{
    private const int MostLogBytes = 1 << 20;

    public static int Run(Arguments arguments)
    {
        string job = arguments.Operands[0];
        if (!JobName.IsValid(job)) throw new TrecrException(TrecrError.NoJournal, "this is not the name of a job");
        string file = Path.GetFullPath(arguments.Operands.Count > 1 ? arguments.Operands[1] : $"{job}-report.tar.gz"), store = Installation.Store(arguments);
        List<(string Name, byte[] Bytes)> members = [];
        if (JobJournal.Root is { } root && JobJournal.At($"{root}/{job}") is { } journal)
            foreach (string name in (string[])[JobJournal.Events + JobJournal.BeforeSuffix, JobJournal.Events, JobJournal.Log + JobJournal.BeforeSuffix, JobJournal.Log])
                Add(name, $"{journal.Directory}/{name}");
        bool known = members.Count > 0;
        foreach (string verb in (string[])["status", "inspect"]) known |= Say(verb, job, "--store", store);
        if (!known) throw new TrecrException(TrecrError.NoJournal, $"nothing is known of a job '{job}': it does not run, has no checkpoint in {store}, and nothing is noted of it");
        Say("list", job, "--store", store);
        Say("doctor", "--store", store);
        members.Add(("version.json", Encoding.UTF8.GetBytes(Output.Captured(() => VersionVerb.Print(json: true)))));
        Add("coordinator.log", RuntimeDirectory.Open().CoordinatorLog);
        Write(file, job, members);
        if (arguments.Json) Output.Json("trecr.report/1", j => j.WriteString("file", file));
        else Output.Line(file);
        return 0;

        void Add(string name, string path)
        {
            try
            {
                using FileStream from = new(path, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete });
                if (name == "coordinator.log") from.Position = Math.Max(0, from.Length - MostLogBytes);
                using MemoryStream bytes = new();
                from.CopyTo(bytes);
                members.Add((name, bytes.ToArray()));
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { members.Add((name, Encoding.UTF8.GetBytes(e.Message))); }
        }

        bool Say(string name, params string[] words)
        {
            Verb verb = Verbs.Find(name);
            bool done = true;
            string text = Output.Captured(() =>
            {
                try { verb.Run(new Arguments(verb, [.. words, "--json"])); }
                catch (Exception e)
                {
                    (TrecrError error, string message, IReadOnlyList<string> findings) = Program.Explain(e);
                    Output.Error(error, message, findings);
                    done = false;
                }
            });
            members.Add(($"{name}.{(done ? "json" : "error")}", Encoding.UTF8.GetBytes(text)));
            return done;
        }
    }

    private static void Write(string file, string job, List<(string Name, byte[] Bytes)> members)
    {
        string temporary = $"{file}.tmp-{Environment.ProcessId}";
        try
        {
            using (FileStream to = new(temporary, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
            using (GZipStream packed = new(to, CompressionLevel.Optimal))
            using (TarWriter tar = new(packed))
                foreach ((string name, byte[] bytes) in members)
                    tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, $"{job}-report/{name}") { DataStream = new MemoryStream(bytes), Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
            File.Move(temporary, file, overwrite: false);
        }
        finally { File.Delete(temporary); }
    }
}
