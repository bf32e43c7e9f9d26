namespace TreCr.Linux;

/// <summary>Places where a test can make TreCr fail. Listed by <c>trecr faults list</c>.</summary>
public enum FaultPoint
{
    None = 0,

    // Dump, in the engine.
    /// <summary>All threads of the program are stopped, nothing has been changed in it.</summary>
    DumpFrozen,
    /// <summary>A thread stands at the entry of a system call given to it.</summary>
    DumpInjectEntry,
    /// <summary>A thread stands at the exit of a system call given to it.</summary>
    DumpInjectExit,
    /// <summary>Process state is read, memory is not copied yet.</summary>
    DumpState,
    /// <summary>In the middle of copying memory.</summary>
    DumpMemory,
    /// <summary>Everything is handed to the writer; the program is still stopped.</summary>
    DumpCaptured,
    /// <summary>Some threads are detached, others are not.</summary>
    DumpDetach,
    /// <summary>Write tracking was armed, the program runs, pre-copy begins.</summary>
    PrepareArmed,

    // Restore, in the engine.
    /// <summary>Before anything is made.</summary>
    RestoreStart,
    /// <summary>The process exists with its pid and nothing in it.</summary>
    RestoreSkeleton,
    /// <summary>Mappings are made.</summary>
    RestoreMapped,
    /// <summary>Memory is filled.</summary>
    RestoreFilled,
    /// <summary>Descriptors and threads exist.</summary>
    RestoreThreads,
    /// <summary>Everything is in place, nothing runs.</summary>
    RestoreComplete,
    /// <summary>Some threads are detached, others are not.</summary>
    RestoreDetach,

    // Store.
    /// <summary>A manifest is written and durable, before it is renamed into place.</summary>
    ManifestRename,
    /// <summary>Before a frame or manifest file is written.</summary>
    StoreWrite,
    /// <summary>Before fsync.</summary>
    StoreSync,

    // Supervisor.
    /// <summary>All delegators are drained.</summary>
    SupervisorGated,
    /// <summary>The program is frozen.</summary>
    SupervisorFrozen,
    /// <summary>Process and device are captured, the program is still frozen.</summary>
    SupervisorCaptured,
    /// <summary>The program runs on, the snapshot is not durable yet.</summary>
    SupervisorResumed,

    // Delegator.
    DelegatorGate,
    DelegatorCapture,
    DelegatorRestore,
    DelegatorServe,

    // Coordinator.
    /// <summary>Every rank has said prepared, nothing is committed.</summary>
    CoordinatorPrepared,
    /// <summary>The job manifest is in place, ranks are not told.</summary>
    CoordinatorCommit,
}

/// <summary>What an armed fault does.</summary>
public enum FaultKind
{
    /// <summary>SIGKILL to the own process.</summary>
    Kill,
    /// <summary>A <see cref="LinuxException"/> with EIO.</summary>
    Errno,
    /// <summary>Sleeps 300 ms, then goes on.</summary>
    Delay,
}

/// <summary>
/// Fires the fault that <c>TRECR_FAULT=[ROLE/]POINT[:n]:kill|errno|delay</c> asks for: at the n-th time (from 1) that a process of that role (any, without
/// one) reaches POINT; POINT <c>*</c> counts every point, <c>PREFIX*</c> those that begin so. Unarmed, a point is one predictable branch.
/// </summary>
/// <remarks>
/// <c>TRECR_FAULT=@FILE</c>: armed while FILE exists, with its text as the fault; counting begins anew with each text. The process that fires it first
/// renames it to <c>FILE.ROLE</c>, so that it fires once in all processes together and the test knows where.
/// </remarks>
public static class Fault
{
    private static readonly Lock s_lock = new();
    private static int s_armed = -1; // -1 not read yet, 0 no, 1 yes
    private static string s_file = ""; // with @FILE
    private static string s_text = "";
    private static string s_pattern = "", s_forRole = "";
    private static FaultKind s_kind;
    private static int s_left;

    /// <summary>What this process is: supervisor, engine, delegator, coordinator, command.</summary>
    public static string Role { get; set; } = "command";

    /// <summary>A place that can fail.</summary>
    /// <exception cref="LinuxException">EIO, when armed so.</exception>
    public static void At(FaultPoint point)
    {
        if (s_armed != 0) Reached(point);
    }

    /// <summary>Arms one fault, as the environment variable does; empty disarms.</summary>
    /// <exception cref="FormatException">not [ROLE/]POINT[:n]:kind, or no such point</exception>
    public static void Arm(string? text)
    {
        s_armed = 0;
        (s_file, s_text, s_pattern) = ("", "", "");
        if (string.IsNullOrEmpty(text)) return;
        if (text[0] == '@') s_file = text[1..];
        else Parse(text);
        Volatile.Write(ref s_armed, 1);
    }

    private static void Parse(string text)
    {
        string[] fields = text.Split(':');
        if (fields.Length is < 2 or > 3 || !Enum.TryParse(fields[^1], ignoreCase: true, out FaultKind kind)) throw new FormatException($"TRECR_FAULT: not [ROLE/]POINT[:n]:kill|errno|delay: {text}");
        int slash = fields[0].IndexOf('/');
        string pattern = fields[0][(slash + 1)..];
        if (!pattern.EndsWith('*') && !Enum.TryParse(pattern, out FaultPoint _)) throw new FormatException($"TRECR_FAULT: no fault point {pattern}");
        s_left = fields.Length == 3 ? int.Parse(fields[1]) : 1;
        s_forRole = slash < 0 ? "" : fields[0][..slash];
        s_pattern = pattern;
        s_kind = kind;
    }

    private static void Reached(FaultPoint point)
    {
        FaultKind kind;
        lock (s_lock)
        {
            if (s_armed < 0) Arm(Environment.GetEnvironmentVariable("TRECR_FAULT"));
            if (s_armed == 0 || !IsArmedNow()) return;
            string name = point.ToString();
            bool matches = s_pattern.EndsWith('*') ? name.StartsWith(s_pattern[..^1], StringComparison.Ordinal) : name == s_pattern;
            if (!matches || s_forRole.Length > 0 && s_forRole != Role || --s_left != 0 || !Claim()) return;
            kind = s_kind;
        }
        switch (kind)
        {
            case FaultKind.Kill: Sys.Kill(Environment.ProcessId, Sys.SIGKILL); Thread.Sleep(Timeout.Infinite); break;
            case FaultKind.Errno: throw new LinuxException("fault", Errno.EIO, point.ToString());
            case FaultKind.Delay: Thread.Sleep(300); break;
        }
    }

    private static bool IsArmedNow()
    {
        if (s_file.Length == 0) return true;
        string text;
        try { text = File.ReadAllText(s_file).Trim(); }
        catch (IOException) { text = ""; } // not armed, or fired elsewhere meanwhile
        if (text != s_text)
        {
            (s_text, s_pattern) = (text, "");
            if (text.Length > 0) Parse(text);
        }
        return text.Length > 0;
    }

    private static bool Claim()
    {
        if (s_file.Length == 0) return true;
        try { File.Move(s_file, $"{s_file}.{Role}", overwrite: true); }
        catch (IOException) { return false; } // another process was faster
        return true;
    }
}
