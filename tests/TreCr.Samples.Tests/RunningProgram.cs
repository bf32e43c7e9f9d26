using System.Diagnostics;

namespace TreCr.Samples.Tests;

/// <summary>A child process whose lines of output can be waited for.</summary>
public sealed class RunningProgram : IDisposable
{
    private readonly Process _process;
    private readonly List<string> _output = [], _errors = [];
    private readonly object _changed = new();
    private bool _outputEnded, _disposed;

    /// <param name="environment">added to the tests' own; an empty value removes a name</param>
    public RunningProgram(string path, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        ProcessStartInfo start = new(path, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string value) in environment)
            if (value.Length == 0) start.Environment.Remove(name);
            else start.Environment[name] = value;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, e) => Add(_output, e.Data, end: true);
        _process.ErrorDataReceived += (_, e) => Add(_errors, e.Data, end: false);
        _process.Start();
        _process.StandardInput.Close();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    /// <summary>Standard output so far.</summary>
    public string[] Output { get { lock (_changed) return [.. _output]; } }

    /// <summary>Standard error so far, for messages.</summary>
    public string Errors { get { lock (_changed) return string.Join('\n', _errors.TakeLast(20)); } }

    /// <summary>Waits for a line of standard output.</summary>
    /// <exception cref="TimeoutException">there was none in time, or the output ended</exception>
    public void WaitForLine(Predicate<string> wanted, TimeSpan limit)
    {
        DateTime end = DateTime.UtcNow + limit;
        lock (_changed)
            for (int seen = 0; ;)
            {
                for (; seen < _output.Count; seen++)
                    if (wanted(_output[seen])) return;
                TimeSpan left = end - DateTime.UtcNow;
                if (_outputEnded || left <= TimeSpan.Zero || !Monitor.Wait(_changed, left))
                    throw new TimeoutException($"no such line; output ended: {_outputEnded}; last lines:\n{string.Join('\n', _output.TakeLast(5))}\n{string.Join('\n', _errors.TakeLast(20))}");
            }
    }

    /// <summary>Waits until standard error has a text.</summary>
    /// <exception cref="TimeoutException">it has not in time</exception>
    public void WaitForError(string text, TimeSpan limit)
    {
        DateTime end = DateTime.UtcNow + limit;
        lock (_changed)
            while (!_errors.Any(l => l.Contains(text)))
                if (end - DateTime.UtcNow is var left && (left <= TimeSpan.Zero || !Monitor.Wait(_changed, left))) throw new TimeoutException($"no '{text}' in:\n{string.Join('\n', _errors.TakeLast(20))}");
    }

    /// <summary>Waits for the end of the process and its output.</summary>
    /// <returns>the exit code</returns>
    /// <exception cref="TimeoutException">it runs on; it is then killed with everything below it</exception>
    public int WaitForExit(TimeSpan limit)
    {
        if (!_process.WaitForExit(limit))
        {
            KillTree();
            throw new TimeoutException($"{_process.StartInfo.FileName} did not end in {limit.TotalSeconds} s; {Errors}");
        }
        _process.WaitForExit(); // until the last line was read
        return _process.ExitCode;
    }

    /// <summary>SIGKILL to this process alone; waits for its end.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>All processes below this one.</summary>
    public IEnumerable<int> Descendants() => Descendants(Id);

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        if (!_process.HasExited) KillTree();
        _process.Dispose();
    }

    private void KillTree()
    {
        foreach (int pid in Descendants().Append(Id).ToArray())
            try { using Process p = Process.GetProcessById(pid); p.Kill(); }
            catch (Exception e) when (e is ArgumentException or InvalidOperationException) { /* has ended */ }
    }

    private static IEnumerable<int> Descendants(int pid)
    {
        List<int> children = [];
        try
        {
            foreach (string task in Directory.GetDirectories($"/proc/{pid}/task"))
                children.AddRange(File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse));
        }
        catch (IOException) { /* has ended */ }
        return children.SelectMany(c => Descendants(c).Prepend(c));
    }

    private void Add(List<string> to, string? line, bool end)
    {
        lock (_changed)
        {
            if (line is not null) to.Add(line);
            else if (end) _outputEnded = true;
            Monitor.PulseAll(_changed);
        }
    }
}
