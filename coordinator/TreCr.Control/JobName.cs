namespace TreCr.Control;

/// <summary>Names of jobs: part of file names, checkpoint ids and socket names.</summary>
public static class JobName
{
    /// <summary>Longest name, characters.</summary>
    public const int MaxLength = 64;

    /// <summary>1 to 64 of [A-Za-z0-9_-], first a letter or digit. No dot: a checkpoint id is JOB.EPOCH.</summary>
    public static bool IsValid(string name)
        => name.Length is >= 1 and <= MaxLength && char.IsAsciiLetterOrDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>The stem of a default name: a program's file name with every other character replaced.</summary>
    public static string FromProgram(string path)
    {
        string name = new([.. Path.GetFileName(path).Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '_')]);
        name = name.TrimStart('_', '-');
        if (name.Length > 50) name = name[..50];
        return name.Length == 0 ? "program" : name;
    }

    /// <summary>JOB.EPOCH taken apart.</summary>
    public static bool TryParseCheckpointId(string id, out string job, out ulong epoch)
    {
        int dot = id.LastIndexOf('.');
        job = dot > 0 ? id[..dot] : "";
        epoch = 0;
        return dot > 0 && IsValid(job) && ulong.TryParse(id[(dot + 1)..], System.Globalization.NumberStyles.None, null, out epoch) && epoch > 0;
    }
}
