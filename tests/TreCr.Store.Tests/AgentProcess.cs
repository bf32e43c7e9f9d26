using System.Diagnostics;

namespace TreCr.Store.Tests;

/// <summary>A node: a process that owns a directory and serves it. Lost, it is killed and its directory is removed.</summary>
internal sealed class AgentProcess : IDisposable
{
    private Process _process = null!;

    internal AgentProcess(string parent, string name)
    {
        Directory = Path.Combine(parent, name);
        Socket = Path.Combine(parent, $"{name}.sock");
        Start();
    }

    internal string Directory { get; }

    internal string Socket { get; }

    internal string Place => $"agent:{Socket}";

    internal void Start()
    {
        ProcessStartInfo start = new("dotnet") { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (string argument in new[] { typeof(AgentProcess).Assembly.Location, "agent", Directory, Socket }) start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
        Assert.That(_process.StandardOutput.ReadLine(), Is.EqualTo("ready"));
    }

    internal void Kill()
    {
        _process.Kill();
        Assert.That(_process.WaitForExit(30_000));
        _process.Dispose();
    }

    /// <summary>kill -9 and rm -rf.</summary>
    internal void Lose()
    {
        Kill();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    public void Dispose()
    {
        try
        {
            if (_process.HasExited) return;
            Kill();
        }
        catch (InvalidOperationException) { } // killed before
    }
}
