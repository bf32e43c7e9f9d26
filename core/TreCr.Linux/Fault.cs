namespace TreCr.Linux;

/// <summary>
/// Fires the fault that <c>TRECR_FAULT=[ROLE/]POINT[:n]:KIND</c> asks for: at the n-th time (from 1) that a process of that role (any, without
/// one) reaches POINT; POINT <c>*</c> counts every point that takes the kind, <c>PREFIX*</c> those that begin so. Unarmed, a point is one predictable branch.
/// </summary>
/// <remarks>
/// <c>TRECR_FAULT=@FILE</c>: armed while FILE exists, with its text as the fault; counting begins anew with each text. The process that fires it first
/// renames it to <c>FILE.ROLE</c>, so that it fires once in all processes together and the test knows where.
/// </remarks>
public static class Fault
{
    private static readonly Lock s_lock = new();
    private static readonly FaultKind[] s_all = [FaultKind.Kill, FaultKind.Errno, FaultKind.Delay, FaultKind.Exception, FaultKind.Enospc, FaultKind.Torn, FaultKind.KillPeer];
    private static readonly FaultKind[] s_plain = [FaultKind.Kill, FaultKind.Errno, FaultKind.Delay, FaultKind.Exception];
    private static int s_armed = -1; // -1 not read yet, 0 no, 1 yes
    private static string s_file = ""; // with @FILE
    private static string s_text = "";
    private static string s_pattern = "", s_forRole = "";
    private static FaultKind s_kind;
    private static int s_left;

    /// <summary>What this process is: supervisor, engine, delegator, coordinator, pages, command.</summary>
    public static string Role { get; set; } = "command";

    /// <summary>
    /// Pid of the process that <see cref="FaultKind.KillPeer"/> kills: the engine's and the delegator's program, the supervisor's engine, the supervisor of the job whose
    /// checkpoint the coordinator commits; 0: none yet, and such a fault does not count.
    /// </summary>
    public static int Peer { get; set; }

    /// <summary>The kinds that a point takes. A full disk and half a write can only be met by the store; a restore has no peer yet.</summary>
    public static IReadOnlyList<FaultKind> KindsOf(FaultPoint point) => point switch
    {
        FaultPoint.None => [],
        FaultPoint.StoreWrite => s_all,
        FaultPoint.StoreSync or FaultPoint.ManifestRename => [.. s_all.Where(k => k != FaultKind.Torn)],
        >= FaultPoint.RestoreStart and <= FaultPoint.LazyUnregister or FaultPoint.DelegatorRestore or FaultPoint.DelegatorServe => s_plain,
        _ => [.. s_plain, FaultKind.KillPeer],
    };

    /// <summary>A place that can fail.</summary>
    /// <exception cref="LinuxException">EIO or ENOSPC, when armed so.</exception>
    /// <exception cref="FaultException">When armed so.</exception>
    public static void At(FaultPoint point)
    {
        if (s_armed != 0) Reached(point);
    }

    /// <summary>A write that can fail.</summary>
    /// <returns>true: the caller is to do half of it and then to fail with EIO</returns>
    /// <exception cref="LinuxException">EIO or ENOSPC, when armed so.</exception>
    /// <exception cref="FaultException">When armed so.</exception>
    public static bool TearsAt(FaultPoint point) => s_armed != 0 && Reached(point);

    /// <summary>Arms one fault, as the environment variable does; empty disarms.</summary>
    /// <exception cref="FormatException">not [ROLE/]POINT[:n]:kind, no such point, or a kind that it does not take</exception>
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
        if (fields.Length is < 2 or > 3 || !Enum.TryParse(fields[^1], ignoreCase: true, out FaultKind kind))
            throw new FormatException($"TRECR_FAULT: not [ROLE/]POINT[:n]:KIND with a kind of `trecr faults list`: {text}");
        int slash = fields[0].IndexOf('/');
        string pattern = fields[0][(slash + 1)..];
        if (!pattern.EndsWith('*'))
        {
            if (!Enum.TryParse(pattern, out FaultPoint point)) throw new FormatException($"TRECR_FAULT: no fault point {pattern}");
            if (!KindsOf(point).Contains(kind)) throw new FormatException($"TRECR_FAULT: {pattern} does not take {fields[^1]}");
        }
        s_left = fields.Length == 3 ? int.Parse(fields[1]) : 1;
        s_forRole = slash < 0 ? "" : fields[0][..slash];
        s_pattern = pattern;
        s_kind = kind;
    }

    /// <returns>true: tear the write</returns>
    private static bool Reached(FaultPoint point)
    {
        FaultKind kind;
        lock (s_lock)
        {
            if (s_armed < 0) Arm(Environment.GetEnvironmentVariable("TRECR_FAULT"));
            if (s_armed == 0 || !IsArmedNow()) return false;
            string name = point.ToString();
            bool matches = s_pattern.EndsWith('*') ? name.StartsWith(s_pattern[..^1], StringComparison.Ordinal) : name == s_pattern;
            if (!matches || s_forRole.Length > 0 && s_forRole != Role || !KindsOf(point).Contains(s_kind) || s_kind == FaultKind.KillPeer && Peer == 0 || --s_left != 0 || !Claim()) return false;
            kind = s_kind;
        }
        switch (kind)
        {
            case FaultKind.Kill: Sys.Kill(Environment.ProcessId, Sys.SIGKILL); Thread.Sleep(Timeout.Infinite); break;
            case FaultKind.Errno: throw new LinuxException("fault", Errno.EIO, point.ToString());
            case FaultKind.Enospc: throw new LinuxException("fault", Errno.ENOSPC, point.ToString());
            case FaultKind.Exception: throw new FaultException(point);
            case FaultKind.Delay: Thread.Sleep(300); break;
            case FaultKind.KillPeer: Sys.Kill(Peer, Sys.SIGKILL); break;
        }
        return kind == FaultKind.Torn;
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
