using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Whether an image fits this machine and its files. Reads only; all findings.</summary>
public static class RestoreCheck
{
    /// <summary>Reads and parses the record.</summary>
    /// <exception cref="ImageException">damaged, or of a newer format</exception>
    public static ProcessImage Load(ISnapshotReader reader)
    {
        ProcessImage image;
        try { image = ProcessImage.Parser.ParseFrom(reader.GetRecord(ProcessImageFormat.Record)); }
        catch (Google.Protobuf.InvalidProtocolBufferException e) { throw new ImageException("the saved process is damaged: " + e.Message, e); }
        if (image.FormatVersion is 0 or > ProcessImageFormat.Current) throw new ImageException($"the saved process has format {image.FormatVersion}; this build reads up to {ProcessImageFormat.Current}");
        if (image.Threads.Count == 0 || image.Threads[0].Tid != image.Pid || image.MmFields.Count != 11 || image.ResourceLimits.Count != 32 || image.SignalActions.Length != 2048 || image.IntervalTimers.Length != 96)
            throw new ImageException("the saved process is damaged: parts of it are missing");
        return image;
    }

    public static List<string> Run(ProcessImage image)
    {
        List<string> findings = [];
        int self = Environment.ProcessId;
        HostImage here = HostFacts.Of(self, Vma.ReadAll(self, withFlags: false), 0);
        findings.AddRange(HostFacts.Differences(image.Host, here));
        if (!File.Exists(image.Executable)) findings.Add($"the program {image.Executable} is gone");
        if (!Directory.Exists(image.WorkingDirectory)) findings.Add($"the working directory {image.WorkingDirectory} is gone");
        foreach (FileImage file in image.Files)
        {
            FileInfo info = new(file.Path);
            bool saved = file.Part.Length > 0;
            if (!info.Exists)
            {
                if (!saved) findings.Add($"the file {file.Path} is gone");
                continue;
            }
            bool same = (ulong)info.Length == file.LengthBytes && FileCapture.UnixNs(info) == file.ModifiedNs;
            if (file.Mapped && !file.Writable && !same) findings.Add($"the file {file.Path}, which the program has mapped, was changed");
            else if (file.Writable && !saved && (ulong)info.Length < file.LengthBytes) findings.Add($"the file {file.Path} is shorter than at the checkpoint");
            else if (file.Writable && !saved && !same && !file.AppendOnly) findings.Add($"the file {file.Path}, which the program writes, was changed since the checkpoint and is too large to have been saved with it");
        }
        foreach (DescriptorImage d in image.Descriptors)
            if ((DescriptorKind)d.Kind == DescriptorKind.File && d.Index == 0 && !Path.Exists(d.Link)) findings.Add($"{d.Link} is gone");
        return findings;
    }
}
