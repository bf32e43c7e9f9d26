using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Whether an image fits this machine and its files. Reads only; all findings.</summary>
internal static class RestoreCheck
{
    public static List<string> Run(SavedTree saved)
    {
        List<string> findings = [];
        int self = Environment.ProcessId;
        HostImage here = HostFacts.Of(self, Vma.ReadAll(self, withFlags: false), 0);
        findings.AddRange(HostFacts.Differences(saved.Root.Host, here));
        foreach (string executable in saved.Processes.Select(p => p.Executable).Distinct())
            if (!File.Exists(executable) && !saved.Tree.Files.Any(f => f.Path == executable && FileCapture.IsBundled(f))) findings.Add($"the program {executable} is gone");
        foreach (string directory in saved.Processes.Select(p => p.WorkingDirectory).Distinct())
            if (!Directory.Exists(directory)) findings.Add($"the working directory {directory} is gone");
        findings.AddRange(saved.Processes.Select(Credentials.WhyNot).OfType<string>());
        foreach (FileImage file in saved.Tree.Files)
        {
            FileInfo info = new(file.Path);
            bool isSaved = file.Part.Length > 0;
            if (!info.Exists)
            {
                if (!isSaved) findings.Add($"the file {file.Path} is gone");
                continue;
            }
            bool same = (ulong)info.Length == file.LengthBytes && FileCapture.UnixNs(info) == file.ModifiedNs;
            if (file.Mapped && !file.Writable && !same && !isSaved) findings.Add($"the file {file.Path}, which the program has mapped, was changed");
            else if (file.Writable && !isSaved && (ulong)info.Length < file.LengthBytes) findings.Add($"the file {file.Path} is shorter than at the checkpoint");
            else if (file.Writable && !isSaved && !same && !file.AppendOnly) findings.Add($"the file {file.Path}, which the program writes, was changed since the checkpoint and is too large to have been saved with it");
        }
        if (CommitCheck.Finding(saved.Processes.SelectMany(p => p.Vmas), StrictOvercommit.RestBytes()) is { } finding) findings.Add(finding);
        foreach (OpenFileImage file in saved.Tree.OpenFiles) findings.AddRange(OpenFileKinds.Of(file).CheckRestore(file, saved));
        return findings;
    }
}
