namespace TreCr.Api.Tests;

/// <summary>A directory of a test, with the directories of a configuration in it.</summary>
internal sealed class Place : IDisposable
{
    public Place() => Directory.CreateDirectory(Root);

    public string Root { get; } = Directory.CreateTempSubdirectory("trecr-api-").FullName;

    public string Scratch => $"{Root}/scratch";

    public string Persistent => $"{Root}/persistent";

    public string Store => $"{Root}/store";

    public CheckpointSettings Settings => new() { Scratch = Scratch, Persistent = Persistent };

    /// <summary>Writes a configuration file.</summary>
    /// <returns>its path</returns>
    public string Configure(params string[] lines)
    {
        string path = $"{Root}/veloc.cfg";
        File.WriteAllLines(path, [$"scratch = {Scratch}", $"persistent = {Persistent}", .. lines]);
        return path;
    }

    /// <summary>The loss of a node: its scratch directory. A helper that still writes there puts files into it while it is being emptied.</summary>
    public void LoseScratch()
    {
        for (int tries = 1; ; tries++)
        {
            try
            {
                Directory.Delete(Scratch, recursive: true);
                return;
            }
            catch (IOException) when (tries < 100 && Directory.Exists(Scratch)) { Thread.Sleep(20); }
        }
    }

    /// <summary>Removes everything in it.</summary>
    public void Clear()
    {
        foreach (string directory in Directory.GetDirectories(Root)) Directory.Delete(directory, recursive: true);
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
