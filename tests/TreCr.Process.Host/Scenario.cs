using System.Text;
using TreCr.Linux;
using TreCr.Process.Launch;

namespace TreCr.Process.Host;

/// <summary>
/// Runs one program in a namespace and does to it what the scenario says, as words separated by blanks:
/// <c>cycle:N</c> dump, kill, restore in the same namespace N times; <c>go:N</c> dump and go on; <c>fresh:N</c> dump, end the namespace, restore in a new
/// one; <c>taken:N</c> the same where others have the first N terminals' numbers by then; <c>work:MS</c> nothing for so long; <c>ahead</c> clocks that are ten days ahead of the machine's; <c>pre:N</c> prepare, dump, compare with a full dump, go on; <c>fault:POINT[:n]:KIND</c> arm and dump (the program must go on).
/// The program says "ready" on its standard output, works until its standard input closes, checks itself, and exits 0.
/// </summary>
internal sealed class Scenario(string init, string scenario, string[] command)
{
    /// <summary>Longest wait for anything of the program, and for an answer of the engine. Only failures wait so long, and a test must not fail of a slow machine.</summary>
    private const int ProgramMs = 120_000, AnswerMs = 180_000, InitMs = 60_000;

    /// <summary>Restores after which a fault or a kill was to fall into the time in which pages are missing.</summary>
    private const int LazyTries = 25;

    private RankNamespace _namespace = null!;
    private SpawnedProcess _program, _engine;
    private int _control = -1, _stdin = -1, _stdout = -1, _programIn = -1, _programOut = -1;
    private readonly StringBuilder _output = new();
    private readonly Random _random = new(Environment.GetEnvironmentVariable("SEED") is { Length: > 0 } seed ? int.Parse(seed) : 1);
    private int _snapshot;
    private string _directory = "";

    public int Run()
    {
        _directory = Directory.CreateTempSubdirectory("trecr-scenario-").FullName;
        try { return RunAll(); }
        finally { Directory.Delete(_directory, true); }
    }

    private int RunAll()
    {
        // The program's clocks are ten days ahead, as if it had been started on a machine that has run for longer than the one where it is restored.
        long ahead = scenario.Split(' ').Contains("ahead") ? 10L * 24 * 3600 * 1_000_000_000 : 0;
        StartNamespace(new NamespaceOptions { InitPath = init, MonotonicOffsetNs = ahead, BoottimeOffsetNs = ahead });
        (_programIn, _stdin) = Sys.Pipe();
        (_stdout, _programOut) = Sys.Pipe();
        string path = command[0];
        List<string> environment = [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}")];
        try { _program = _namespace.SpawnProgram(path, command, environment, Directory.GetCurrentDirectory(), [_programIn, _programOut, 2], false, Environment.ProcessId); }
        catch (LaunchException e) { Console.Error.WriteLine($"host: {e.Message}"); _namespace.Dispose(); return e.ExitCode; }
        StartEngine();
        if (!WaitForOutput("ready", ProgramMs)) return Fail("the program did not say ready: " + _output);
        foreach (string step in scenario.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] f = step.Split(':', 2);
            string argument = f.Length > 1 ? f[1] : "1";
            string? error = f[0] switch
            {
                "cycle" => Repeat(int.Parse(argument), Cycle),
                "go" => Repeat(int.Parse(argument), DumpAndGo),
                "fresh" => Repeat(int.Parse(argument), Fresh),
                "taken" => Taken(int.Parse(argument)),
                "pre" => Repeat(int.Parse(argument), PreCopy),
                "lazy" => Repeat(int.Parse(argument), LazyCycle),
                "lazypre" => Repeat(int.Parse(argument), () => LazyCycle() ?? PreCopy()),
                "lazykill" => LazyKill(int.Parse(argument)),
                "lazyfault" => LazyFault(argument),
                "dumpfault" => DumpFault(argument),
                "restorefault" => RestoreFault(argument),
                "check" => Findings(),
                "restorepre" => Repeat(int.Parse(argument), RestorePreCopied),
                "refused" => Refused(),
                "othercpu" => OtherProcessor(),
                "closens" => CloseNamespace(),
                "work" => Work(int.Parse(argument)),
                "ahead" => null,
                _ => "unknown step " + step,
            };
            if (error is not null) return Fail($"{step}: {error}");
        }
        if (_stdin < 0) return 0;
        Sys.Close(_stdin);
        if (StatusOfEnd() is not { } ended) return Fail("the program did not end");
        DrainOutput(0);
        Console.Out.Write(_output);
        _namespace.Dispose();
        return (ended & 0x7f) == 0 ? ended >> 8 : 128 + (ended & 0x7f);
    }

    /// <summary>Waits until the program is reaped. Ends of earlier incarnations of its pid (killed half restored) may be in the queue before its own: the last one counts.</summary>
    private int? StatusOfEnd()
    {
        Span<PollEntry> gone = [new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }];
        if (Sys.Poll(gone, ProgramMs) <= 0) return null;
        // Init tells what it has reaped before it answers that there is no such process.
        for (long end = Environment.TickCount64 + InitMs; _namespace.Signal(_program.Pid, 0) == 0; Sys.SleepNs(1_000_000))
            if (Environment.TickCount64 > end) return null;
        int? status = null;
        while (_namespace.WaitForExit(_program.Pid, 0) is { } last) status = last;
        return status;
    }

    private int Fail(string message)
    {
        Console.Error.WriteLine("host: " + message);
        DrainOutput(0);
        Console.Out.Write(_output);
        _namespace.Dispose();
        return 98;
    }

    private string? Repeat(int count, Func<string?> step)
    {
        Growth growth = new(_engine.HostPid);
        for (int i = 0; i < count; i++)
        {
            long start = Environment.TickCount64;
            if (step() is { } error) return $"round {i + 1}: {error}";
            growth.Note(Environment.TickCount64 - start);
            Thread.Sleep(_random.Next(1, 25)); // random moment of the next dump, not a wait for anything
            if (_namespace.InitEnded || ProgramEnded() is { } ended) return $"round {i + 1}: the program ended: {ProgramEnded()}";
        }
        if (count >= Growth.LeastRounds) Console.Error.WriteLine("host: growth " + growth.Describe());
        return null;
    }

    private string? ProgramEnded()
    {
        Span<PollEntry> e = [new PollEntry { Fd = _program.Pidfd, Events = Sys.POLLIN }];
        if (Sys.Poll(e, 0) <= 0) return null;
        while (_namespace.TryReadEvent(out int pid, out int status)) if (pid == _program.Pid) return $"status {status:x}";
        return "no status";
    }

    private void StartNamespace(NamespaceOptions options) => _namespace = RankNamespace.Start(options);

    private void StartEngine()
    {
        if (_control >= 0) Sys.Close(_control);
        (_control, int theirs) = Sys.SocketPair();
        _engine = _namespace.SpawnEngine(Environment.ProcessPath!, ["host", "engine"], [theirs]);
        Sys.Close(theirs);
    }

    private string[] Ask(string text, params int[] descriptors)
    {
        byte[] buffer = new byte[8192];
        if (Sys.Send(_control, Encoding.UTF8.GetBytes(text), descriptors) < 0) return ["error", "engine is gone"];
        // Its keeper may hold the other end.
        Span<PollEntry> e = [new PollEntry { Fd = _control, Events = Sys.POLLIN }, new PollEntry { Fd = _engine.Pidfd, Events = Sys.POLLIN }];
        int ready = Sys.Poll(e, AnswerMs);
        if (ready > 0 && e[0].Returned == 0 && Sys.Poll(e[..1], 0) == 0) return ["error", "engine died"];
        if (ready <= 0) return ["error", "engine does not answer to " + text];
        int[] received = new int[Sys.MaxPassedDescriptors];
        long n = Sys.Receive(_control, buffer, received, out int count);
        _received = received[..count];
        return n <= 0 ? ["error", "engine died"] : Encoding.UTF8.GetString(buffer, 0, (int)n).Split('\t');
    }

    private string Externals => $"{Sys.ReadLink($"/proc/self/fd/{_programIn}")}\t{Sys.ReadLink($"/proc/self/fd/{_programOut}")}\t{Sys.ReadLink("/proc/self/fd/2")}";

    private string[] Ask0 = [];
    private int[] _received = [];
    private bool _survived, _ended;

    private string? Do(string text, params int[] descriptors)
    {
        Ask0 = Ask(text, descriptors);
        return Ask0[0] == "ok" ? null : text.Split('\t')[0] + ": " + string.Join(" ", Ask0.Skip(1));
    }

    private string Name() => "s" + ++_snapshot;

    private string? Cycle()
    {
        string name = Name();
        string? error = Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do("kill") ?? Reaped() ?? Between() ?? Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release")
            ?? Do($"forget\t{name}");
        if (error is not null) return error;
        Sys.Close(_program.Pidfd);
        _program = _namespace.AdoptProgram(_program.Pid);
        return null;
    }

    /// <summary>Dump, kill, and a restore that lets the program run before its memory is there.</summary>
    private string? LazyCycle()
    {
        string name = Name();
        string? error = Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do("kill") ?? Reaped() ?? Do($"restore\t{name}\tlazy", _programIn, _programOut, 2);
        int[] held = _received;
        if (error is null && NoteLazy(held) is { } eager) error = eager;
        error ??= Do("release");
        foreach (int fd in held) Sys.Close(fd);
        if (error is not null) return error;
        Sys.Close(_program.Pidfd);
        _program = _namespace.AdoptProgram(_program.Pid);
        return null;
    }

    /// <summary>Whether the restore just made is lazy: as root it must be, where there is memory to speak of.</summary>
    private string? NoteLazy(int[] held)
    {
        string why = Ask0.Length > 2 ? Ask0[2] : "";
        if (why.Length > 0 && Sys.EffectiveUserId() == 0) return $"the restore is not lazy: {why}";
        Console.Error.WriteLine(held.Length > 0 ? $"host: lazy, {held.Length / 2} processes" : $"host: not lazy: {(why.Length > 0 ? why : "little memory")}");
        return null;
    }

    /// <summary>The engine that serves the pages is killed at once, and another takes over; then the memory is compared by the program itself.</summary>
    private string? LazyKill(int rounds)
    {
        int missing = 0, i = 0;
        for (; i < rounds || missing == 0 && i < LazyTries; i++)
        {
            string? error = LazyRestoreAnd(() =>
            {
                if (i < rounds) Thread.Sleep(_random.Next(0, 20)); // random moment of the kill, not a wait for anything; at once where a busy machine has made all of them too late
                Sys.Kill(_engine.HostPid, Sys.SIGKILL);
            }, out bool served);
            if (error is not null) return error;
            if (!served) missing++;
        }
        Console.Error.WriteLine($"host: pages were missing at {missing} of {i} kills");
        return missing > 0 ? null : "no kill fell into the time in which pages were missing";
    }

    /// <summary>The engine that serves the pages dies at a point.</summary>
    private string? LazyFault(string fault)
    {
        for (int tries = 0; tries < LazyTries; tries++)
        {
            string? error = LazyRestoreAnd(() => { }, out _, fault);
            // An event after the last page was copied is of no importance: the program was too late with all of its own.
            if (error is not null || !_survived && (_ended || !fault.StartsWith("LazyEvent"))) return error;
        }
        return $"the engine did not come by in {LazyTries} restores";
    }

    /// <summary>Dump, kill, lazy restore; the engine dies, and another takes over.</summary>
    private string? LazyRestoreAnd(Action kill, out bool served, string fault = "")
    {
        served = _survived = _ended = false;
        string name = Name(), file = Path.Combine(_directory, name);
        string? error = Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do($"save\t{name}\t{file}") ?? Do("kill") ?? Reaped() ?? Do($"fault\t{fault}")
            ?? Do($"restore\t{name}\tlazy", _programIn, _programOut, 2);
        int[] held = _received;
        error ??= NoteLazy(held) ?? (held.Length == 0 ? "the restore is not lazy" : Do("release"));
        if (error is not null && !error.Contains("engine died")) return error; // at once, with the answer to the release
        kill();
        for (long end = Environment.TickCount64 + 60_000; Sys.Poll([new PollEntry { Fd = _engine.Pidfd, Events = Sys.POLLIN }], 20) <= 0;)
        {
            _survived = fault.Length > 0 && ProcessEngine.IsServed(held);
            if (_survived) break; // all pages were there before the point was reached: once more
            if (Environment.TickCount64 > end) return "the engine did not die";
        }
        served = ProcessEngine.IsServed(held);
        if (!_survived) StartEngine();
        error = _survived ? Do("fault\t") : Do($"load\t{name}\t{file}") ?? Do($"takeover\t{name}", held);
        // It died between reading an event and noting it: nobody can go on, and the program is restarted from the same image.
        // With its group: a child that waits for a page that only the dead engine had waits for as long as we hold the descriptor, and keeps the number of its group.
        if (error is not null && error.Contains("while it noted a change") && _namespace.Signal(-_program.Pid, Sys.SIGKILL) is 0 or -Errno.ESRCH)
        {
            Console.Error.WriteLine($"host: nobody can go on ({(fault.Length > 0 ? fault : "killed")})");
            _ended = true;
            error = (_namespace.WaitForExit(_program.Pid, InitMs) is not 9 and var status ? $"it ended by itself before, with status {status:x}" : null) ?? Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release");
        }
        foreach (int fd in held) Sys.Close(fd); // not before a kill: pages that are missing would become zero
        File.Delete(file);
        if (error is not null) return error;
        if (_namespace.WaitForExit(_program.Pid, 0) is { } ended) return $"the program ended with status {ended:x}";
        Sys.Close(_program.Pidfd);
        _program = _namespace.AdoptProgram(_program.Pid);
        return null;
    }

    /// <summary>What happens to the world while the program is away: the shell command in TRECR_TEST_BETWEEN.</summary>
    private static string? Between()
    {
        if (Environment.GetEnvironmentVariable("TRECR_TEST_BETWEEN") is not { Length: > 0 } command) return null;
        using System.Diagnostics.Process shell = System.Diagnostics.Process.Start("/bin/sh", ["-c", command]);
        return shell.WaitForExit(InitMs) && shell.ExitCode == 0 ? null : "the command between failed";
    }

    private string? Reaped() => _namespace.WaitForExit(_program.Pid, InitMs) is 9 ? null : "init did not report the kill";

    private string? DumpAndGo() => Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{Name()}\t{Externals}") ?? Do("resume");

    private string? Findings()
    {
        string? error = Do($"check\t{_program.Pid}\t{Externals}");
        foreach (string finding in Ask0.Skip(1)) if (finding.Length > 0) Console.WriteLine("finding: " + finding);
        return error;
    }

    /// <summary>A dump must be refused, and the program runs on.</summary>
    private string? Refused()
    {
        if (Do($"freeze\t{_program.Pid}") is { } error)
        {
            Console.WriteLine(error);
            return error.Contains("is being traced by") ? Do("resume") : error; // stopped by nobody
        }
        string? refused = Do($"capture\t{Name()}\t{Externals}");
        if (refused is not null) Console.WriteLine(refused);
        return Do("resume") ?? (refused is null ? "nothing was refused" : refused.Contains("Refused") ? null : refused);
    }

    private static string? Work(int milliseconds)
    {
        Thread.Sleep(milliseconds); // the program works, and nothing else is to happen
        return null;
    }

    private string? Taken(int count)
    {
        List<(int Master, int Slave)> others = [];
        try { return Fresh(() => others.AddRange(Enumerable.Range(0, count).Select(_ => Sys.OpenPseudoTerminal()))); }
        finally { foreach ((int master, int slave) in others) { Sys.Close(master); Sys.Close(slave); } }
    }

    private string? Fresh() => Fresh(() => { });

    /// <param name="between">when the program is gone and not there again</param>
    private string? Fresh(Action between)
    {
        string name = Name(), file = Path.Combine(_directory, name);
        if ((Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do("kill") ?? Do($"save\t{name}\t{file}")) is { } error) return error;
        _namespace.Dispose();
        between();
        StartNamespace(Images(file));
        StartEngine();
        if ((Do($"load\t{name}\t{file}") ?? Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release")) is { } failed) return failed;
        _program = _namespace.AdoptProgram(_program.Pid);
        File.Delete(file);
        return null;
    }

    private NamespaceOptions Images(string file) => ProcessImageFormat.NamespaceFor(SnapshotFile.Read(file), init);

    private string? PreCopy()
    {
        string incremental = Name(), full = Name();
        string? error = Do($"prepare\t{_program.Pid}\t{incremental}") ?? Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{incremental}\t{Externals}");
        long copied = error is null ? long.Parse(Ask0[1]) : 0;
        error ??= Do($"capture\t{full}\t{Externals}") ?? Do($"compare\t{incremental}\t{full}");
        if (error is null) Console.Error.WriteLine($"host: pre-copy left {copied >> 10} KiB");
        return error ?? Do("resume") ?? Do(_random.Next(3) == 0 ? "abort" : $"commit\t{incremental}");
    }

    /// <summary>Pre-copied increment, kill, restore from it.</summary>
    private string? RestorePreCopied()
    {
        string first = Name(), second = Name();
        string? error = Do($"prepare\t{_program.Pid}\t{first}") ?? Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{first}\t{Externals}") ?? Do("resume") ?? Do($"commit\t{first}")
            ?? Do($"prepare\t{_program.Pid}\t{second}") ?? Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{second}\t{Externals}") ?? Do("kill") ?? Reaped()
            ?? Do($"restore\t{second}", _programIn, _programOut, 2) ?? Do("release");
        if (error is null) _program = _namespace.AdoptProgram(_program.Pid);
        return error;
    }

    /// <summary>The engine fails or dies in the dump; the program must run on.</summary>
    private string? DumpFault(string fault)
    {
        if (Do($"fault\t{fault}") is { } error) return error;
        string? failed = DumpAndGo();
        if (failed is null) { Console.WriteLine("fault not reached"); return Do("fault\t"); }
        if (fault.EndsWith("kill")) StartEngine(); else if ((Do("fault\t") ?? Do("resume")) is { } r) return r;
        if (ProgramEnded() is { } ended) return $"the program ended after a fault in the dump: {ended}";
        // Still healthy: a whole dump and restore goes through.
        return Cycle();
    }

    /// <summary>The engine fails or dies in the restore; nothing may be left of the process, and the image restores afterwards.</summary>
    private string? RestoreFault(string fault)
    {
        string name = Name(), file = Path.Combine(_directory, name);
        if ((Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do($"save\t{name}\t{file}") ?? Do("kill") ?? Reaped() ?? Do($"fault\t{fault}")) is { } error) return error;
        string? failed = Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release");
        if (failed is null) Console.WriteLine("fault not reached");
        else
        {
            // Half detached: the root died with the engine, and its end ends the job.
            if (fault.StartsWith("RestoreDetach") && fault.EndsWith("kill"))
            {
                if (_namespace.WaitForExit(_program.Pid, InitMs) is null) return "the root of a half restored tree lives";
                _namespace.Dispose();
                StartNamespace(Images(file));
            }
            if (fault.EndsWith("kill")) { StartEngine(); if (Do($"load\t{name}\t{file}") is { } l) return l; }
            else if ((Do("fault\t") ?? Do("discard")) is { } r) return r;
            if ((Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release")) is { } second) return $"after {failed}: second restore: {second}";
        }
        _program = _namespace.AdoptProgram(_program.Pid);
        return Do("fault\t");
    }

    /// <summary>An image of a machine whose processor could more is refused by name, with nothing left behind; the same image restores where nothing is missing.</summary>
    private string? OtherProcessor()
    {
        string name = Name();
        string? error = Do($"freeze\t{_program.Pid}") ?? Do($"capture\t{name}\t{Externals}") ?? Do("kill") ?? Reaped() ?? Do($"needs\t{name}\tavx9000 sse17");
        if (error is not null) return error;
        string? refused = Do($"restore\t{name}", _programIn, _programOut, 2);
        if (refused is null || !refused.Contains("this CPU lacks avx9000, sse17")) return $"not refused by name: {refused ?? "restored"}";
        if ((Do($"needs\t{name}\t") ?? Do($"restore\t{name}", _programIn, _programOut, 2) ?? Do("release")) is { } failed) return failed;
        Sys.Close(_program.Pidfd);
        _program = _namespace.AdoptProgram(_program.Pid);
        return null;
    }

    private string? CloseNamespace()
    {
        int watch = _program.Pidfd;
        _namespace.Dispose();
        Span<PollEntry> e = [new PollEntry { Fd = watch, Events = Sys.POLLIN }];
        if (Sys.Poll(e, ProgramMs) <= 0) return "the program outlived its namespace";
        Sys.Close(_stdin);
        _stdin = -1;
        return null;
    }

    private bool WaitForOutput(string text, int timeoutMs)
    {
        long end = Environment.TickCount64 + timeoutMs;
        while (!_output.ToString().Contains(text))
        {
            int left = (int)(end - Environment.TickCount64);
            if (left <= 0 || !DrainOutput(left)) return false;
        }
        return true;
    }

    private unsafe bool DrainOutput(int timeoutMs)
    {
        byte* buffer = stackalloc byte[4096];
        bool any = false;
        while (true)
        {
            Span<PollEntry> e = [new PollEntry { Fd = _stdout, Events = Sys.POLLIN }];
            if (Sys.Poll(e, any ? 0 : timeoutMs) <= 0) return any;
            long n = Sys.Read(_stdout, buffer, 4096);
            if (n <= 0) return any;
            _output.Append(Encoding.UTF8.GetString(buffer, (int)n));
            any = true;
        }
    }
}
