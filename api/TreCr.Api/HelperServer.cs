using System.Collections.Concurrent;
using System.Text;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>The helper: flushes what lies in the queue of a scratch directory, then what programs tell it of; ends when no program is connected and nothing is left.</summary>
internal sealed class HelperServer(CheckpointDirectory scratch, int listener)
{
    private const int PollMs = 100, FirstProgramMs = 10_000, Locks = 64;

    private readonly BlockingCollection<(string Name, int Connection)> _work = [];
    private readonly Lock[] _locks = [.. Enumerable.Range(0, Locks).Select(_ => new Lock())];
    private readonly Lock _counting = new();
    private readonly ConcurrentDictionary<string, string> _failed = []; // of requests that were in the queue, for the program that sends them again
    private int _programs, _unfinished;           // under _counting

    /// <summary>Returns when there is nothing to do any more.</summary>
    public void Run()
    {
        Directory.CreateDirectory(scratch.OwnPath(HelperQueue.QueueDirectory));
        foreach (string path in Directory.EnumerateFiles(scratch.OwnPath(HelperQueue.QueueDirectory)))
            if (!path.EndsWith(WholeFile.UnfinishedSuffix, StringComparison.Ordinal)) Enqueue(Path.GetFileName(path), -1);
        for (int i = 0; i < Math.Clamp(Environment.ProcessorCount, 1, 4); i++) new Thread(Work) { IsBackground = true }.Start();
        long giveUp = Environment.TickCount64 + FirstProgramMs;
        bool hadProgram = false;
        PollEntry[] entry = [new() { Fd = listener, Events = Sys.POLLIN }];
        while (true)
        {
            if (Sys.Poll(entry, PollMs) > 0 && Sys.Accept(listener) is var connection and >= 0)
            {
                hadProgram = true;
                lock (_counting) _programs++;
                new Thread(() => Serve(connection)) { IsBackground = true }.Start();
                continue;
            }
            lock (_counting)
                if (_programs == 0 && _unfinished == 0 && (hadProgram || Environment.TickCount64 > giveUp)) return;
        }
    }

    private void Serve(int connection)
    {
        Span<byte> message = stackalloc byte[HelperQueue.MaxMessageBytes];
        while (Sys.Receive(connection, message, default, out _) is var n and > 0) Enqueue(Encoding.UTF8.GetString(message[..(int)n]), connection);
        lock (_counting) _programs--;
        // The descriptor stays: an answer may be on its way to it, and a number that is used again would get it.
    }

    private void Enqueue(string name, int connection)
    {
        lock (_counting) _unfinished++;
        _work.Add((name, connection));
    }

    private void Work()
    {
        Sys.SetThreadNice(10); // the program goes first
        foreach ((string name, int connection) in _work.GetConsumingEnumerable())
        {
            string answer = Flush(name);
            if (connection >= 0) Sys.Send(connection, Encoding.UTF8.GetBytes(answer.Length > 1000 ? answer[..1000] : answer));
            lock (_counting) _unfinished--;
        }
    }

    private string Flush(string name)
    {
        string path = scratch.OwnPath($"{HelperQueue.QueueDirectory}/{name}");
        // One at a time of each checkpoint: the file that was left by another helper, and the same from its program.
        lock (_locks[(uint)string.GetHashCode(name.AsSpan(0, Math.Max(name.LastIndexOf('.'), 0))) % Locks])
        {
            try
            {
                if (name.Contains('/') || FlushRequest.Parse(File.ReadAllText(path)) is not { } request) throw new CheckpointException($"{name}: not a request");
                try { Flusher.Flush(scratch, request); }
                finally { File.Delete(path); }
                return $"ok {name}";
            }
            catch (FileNotFoundException) { return _failed.TryGetValue(name, out string? before) ? before : $"ok {name}"; } // ended already: it was in the queue, and its program sent it too
            catch (Exception e)
            {
                Console.Error.WriteLine($"{HelperProcess.ProgramName}: {e.Message}");
                return _failed[name] = $"failed {name} {e.Message}";
            }
        }
    }
}
