using TreCr.Images;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>Where the files of a saved program lie on this machine. The program itself goes on with the names that it has in its memory.</summary>
public sealed class PathChanges
{
    /// <summary>Old and new begin of a path, at a slash; of several that fit the longest counts.</summary>
    public List<(string Old, string New)> Maps { get; } = [];

    /// <summary>Working directory of the root process; empty: as it was.</summary>
    public string WorkingDirectory { get; set; } = "";

    /// <summary>The path here.</summary>
    public string Of(string path)
    {
        (string from, string to) = ("", "");
        foreach ((string old, string @new) in Maps)
            if (old.Length > from.Length && path.StartsWith(old, StringComparison.Ordinal) && (path.Length == old.Length || path[old.Length] == '/' || old.EndsWith('/'))) (from, to) = (old, @new);
        return from.Length == 0 ? path : to + path[from.Length..];
    }

    internal void Apply(SavedTree saved)
    {
        if (Maps.Count > 0)
        {
            foreach (FileImage file in saved.Tree.Files) file.Path = Of(file.Path);
            foreach (OpenFileImage file in saved.Tree.OpenFiles)
                if (file.Link.StartsWith('/')) file.Link = Of(file.Link);
            foreach (ProcessImage process in saved.Processes)
            {
                process.Executable = Of(process.Executable);
                process.WorkingDirectory = Of(process.WorkingDirectory);
                foreach (VmaImage area in process.Vmas)
                    if ((VmaKind)area.Kind == VmaKind.File) area.Path = Of(area.Path);
            }
        }
        if (WorkingDirectory.Length > 0) saved.Root.WorkingDirectory = WorkingDirectory;
    }
}
