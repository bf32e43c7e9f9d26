using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>
/// Starts a process from a multi-threaded managed one without running managed code in the child: a table of system calls, ending in
/// execve, that the child works off between clone3 and exec. Stands in for fork, which a managed runtime does not survive, and reaches
/// what posix_spawn cannot (namespaces, id maps, capabilities, chosen pids, sessions).
/// </summary>
/// <remarks>
/// clone3 with CLONE_VM|CLONE_VFORK: the calling thread sleeps until the child has executed or exited, so the child may use the caller's
/// stack and memory; it writes each result into the table, where the caller finds which call failed. All signals are blocked in the
/// caller meanwhile and stay blocked in the new program unless the table sets a mask; handlers are reset by CLONE_CLEAR_SIGHAND.
/// Any thread; not thread safe per instance. Sources: clone(2), own measurement: 0.3 ms for a static program.
/// </remarks>
public sealed unsafe class CloneTable : IDisposable
{
    public const ulong CLONE_VM = 0x100, CLONE_FILES = 0x400, CLONE_PIDFD = 0x1000, CLONE_VFORK = 0x4000, CLONE_NEWNS = 0x20000, CLONE_NEWIPC = 0x8000000, CLONE_NEWUSER = 0x10000000, CLONE_NEWPID = 0x20000000,
        CLONE_NEWTIME = 0x80, CLONE_CLEAR_SIGHAND = 0x1_0000_0000;

    private const int EntryBytes = 64, MayFail = 1, TakesSaved = 2, Saves = 4, SIGCHLD = 17;

    // long f(clone_args* rdi, entry* rsi, long count rdx): pushes rbx r12 r13 r14; clone3(args, 88); in the parent pops and returns the result.
    // Child: for each entry { rax, rdi, rsi, rdx, r10, r8, r9 = entry[0..6]; flags = entry[7]; if (flags & 2) rdi = saved; syscall; entry[7] = rax;
    // if failed and not (flags & 1) break; if (flags & 4) saved = rax; }; exit_group(127). It touches no stack.
    private static readonly byte[] s_code = Convert.FromHexString(
        "534154415541564889f34989d44531f6b8b3010000be580000000f054885c07408415e415d415c5bc3" +
        "4d85e4744e488b03488b7b08488b7310488b53184c8b53204c8b43284c8b4b304c8b6b3841f6c50274034c89f70f0548894338483d01f0ffff7312" +
        "41f6c50474034989c64883c34049ffccebb341f6c50175f1bf7f000000b8e70000000f050f0b");

    private static readonly Lazy<nint> s_function = new(MapCode);

    private readonly List<(SyscallNumber Number, long A, long B, long C, long D, long E, long F, int Flags, string What)> _entries = [];
    private readonly List<nint> _memory = [];

    private static nint MapCode()
    {
        ulong page = (ulong)Sys.Check(Sys.Mmap(0, 4096, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_PRIVATE | Sys.MAP_ANONYMOUS), "mmap");
        s_code.CopyTo(new Span<byte>((void*)page, 4096));
        Sys.Mprotect(page, 4096, Sys.PROT_READ | Sys.PROT_EXEC);
        return (nint)page;
    }

    /// <summary>Adds a call that must succeed.</summary>
    /// <param name="what">names the step in the error message</param>
    public void Add(string what, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => _entries.Add((number, a, b, c, d, e, f, 0, what));

    /// <summary>Adds a call whose failure is ignored.</summary>
    public void AddOptional(string what, SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => _entries.Add((number, a, b, c, d, e, f, MayFail, what));

    /// <summary>Adds open, write and close of a small file such as /proc/self/uid_map.</summary>
    public void AddWriteFile(string path, string text, bool optional = false)
    {
        int flags = optional ? MayFail : 0;
        _entries.Add((SyscallNumber.Open, Text(path), Sys.O_WRONLY | Sys.O_CLOEXEC, 0, 0, 0, 0, flags | Saves, $"open {path}"));
        _entries.Add((SyscallNumber.Write, 0, Text(text), System.Text.Encoding.UTF8.GetByteCount(text), 0, 0, 0, flags | TakesSaved, $"write {path}"));
        _entries.Add((SyscallNumber.Close, 0, 0, 0, 0, 0, 0, MayFail | TakesSaved, $"close {path}"));
    }

    /// <summary>Adds the end of the table: execve(2).</summary>
    public void AddExecute(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
        => Add(ExecuteStep, SyscallNumber.Execve, Text(path), Keep((nint)Sys.CStrings(arguments)), Keep((nint)Sys.CStrings(environment)));

    /// <summary>Adds SIG_DFL for all signals (SIG_IGN survives exec) and an empty mask.</summary>
    public void AddDefaultSignals()
    {
        long action = Bytes(new byte[32]), mask = Bytes(new byte[8]);
        for (int signal = 1; signal <= 64; signal++)
            if (signal is not (Sys.SIGKILL or Sys.SIGSTOP)) Add("rt_sigaction", SyscallNumber.RtSigaction, signal, action, 0, 8);
        Add("rt_sigprocmask", SyscallNumber.RtSigprocmask, 2, mask, 0, 8);
    }

    /// <summary>Name of the step that <see cref="AddExecute"/> adds, as it appears in <see cref="CloneResult.FailedStep"/>.</summary>
    public const string ExecuteStep = "execve";

    /// <summary>Address of a NUL-ended copy of the text that lives as long as this table.</summary>
    public long Text(string text) => Bytes(Sys.CString(text));

    /// <summary>Address of a copy of the bytes that lives as long as this table.</summary>
    public long Bytes(ReadOnlySpan<byte> bytes)
    {
        byte* copy = (byte*)NativeMemory.AllocZeroed((nuint)bytes.Length + 8);
        bytes.CopyTo(new Span<byte>(copy, bytes.Length));
        return Keep((nint)copy);
    }

    private long Keep(nint memory)
    {
        _memory.Add(memory);
        return memory;
    }

    /// <summary>Runs clone3 and the table. Blocks until the new program runs or a step failed.</summary>
    /// <param name="namespaces">CLONE_NEW… flags</param>
    /// <param name="pid">wanted pid in the caller's pid namespace (needs CAP_CHECKPOINT_RESTORE there); 0: any</param>
    /// <returns>pid and pidfd of the child, or the step that failed; a child that failed a step is reaped already</returns>
    public CloneResult Run(ulong namespaces = 0, int pid = 0)
    {
        byte* table = Lay();
        try
        {
            long child = Clone(table, CLONE_VFORK | namespaces, pid, out int descriptor);
            if (child < 0) return new CloneResult(0, -1, "clone3", (int)-child);
            for (int i = 0; i < _entries.Count; i++)
            {
                long result = *(long*)(table + i * EntryBytes + 56);
                if (result is >= 0 or <= -4096 || (_entries[i].Flags & MayFail) != 0) continue;
                Sys.Wait((int)child, Sys.WALL, out _);
                Sys.Close(descriptor);
                return new CloneResult(0, -1, _entries[i].What, (int)-result);
            }
            return new CloneResult((int)child, descriptor, "", 0);
        }
        finally { NativeMemory.Free(table); }
    }

    /// <summary>Runs clone3 and the table in a process that shares memory and open descriptors with this one, and outlives it. Does not wait. The table stays in memory for good.</summary>
    /// <param name="pid">wanted pid; 0: any</param>
    public CloneResult RunBeside(int pid = 0)
    {
        byte* table = Lay();
        long child = Clone(table, CLONE_FILES, pid, out int descriptor);
        if (child > 0) return new CloneResult((int)child, descriptor, "", 0);
        NativeMemory.Free(table);
        return new CloneResult(0, -1, "clone3", (int)-child);
    }

    private byte* Lay()
    {
        byte* table = (byte*)NativeMemory.AllocZeroed((nuint)(_entries.Count * EntryBytes + 256));
        for (int i = 0; i < _entries.Count; i++)
        {
            var entry = _entries[i];
            long* to = (long*)(table + i * EntryBytes);
            to[0] = (long)entry.Number; to[1] = entry.A; to[2] = entry.B; to[3] = entry.C; to[4] = entry.D; to[5] = entry.E; to[6] = entry.F; to[7] = entry.Flags;
        }
        return table;
    }

    private long Clone(byte* table, ulong flags, int pid, out int pidfd)
    {
        ulong* arguments = (ulong*)(table + _entries.Count * EntryBytes);
        int* descriptor = (int*)(arguments + 16), wanted = descriptor + 1;
        *descriptor = -1; *wanted = pid;
        arguments[0] = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | flags;
        arguments[1] = (ulong)descriptor;
        arguments[4] = SIGCHLD;
        if (pid != 0) { arguments[8] = (ulong)wanted; arguments[9] = 1; }

        ulong all = ulong.MaxValue, before = 0;
        Sys.Raw(SyscallNumber.RtSigprocmask, 2, (long)&all, (long)&before, 8);
        long child = ((delegate* unmanaged[Cdecl]<ulong*, byte*, long, long>)s_function.Value)(arguments, table, _entries.Count);
        Sys.Raw(SyscallNumber.RtSigprocmask, 2, (long)&before, 0, 8);
        pidfd = *descriptor;
        return child;
    }

    public void Dispose()
    {
        foreach (nint memory in _memory) NativeMemory.Free((void*)memory);
        _memory.Clear();
    }
}

/// <summary>What <see cref="CloneTable.Run"/> did.</summary>
/// <param name="Pid">the child as the caller sees it; 0 on failure</param>
/// <param name="Pidfd">close-on-exec, the caller's to close; -1 on failure</param>
/// <param name="FailedStep">empty on success</param>
/// <param name="ErrorNumber">positive errno of the failed step</param>
public readonly record struct CloneResult(int Pid, int Pidfd, string FailedStep, int ErrorNumber)
{
    public bool Succeeded => Pid > 0;
}
