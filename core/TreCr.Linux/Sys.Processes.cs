using System.Runtime.InteropServices;

namespace TreCr.Linux;

/// <summary>Processes: kill(2), pidfd_open(2), wait4(2), posix_spawn(3).</summary>
public static unsafe partial class Sys
{
    public const int SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGUSR1 = 10, SIGPIPE = 13, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGWINCH = 28;
    public const int WNOHANG = 1, WALL = 0x40000000;

    [LibraryImport("libc", EntryPoint = "posix_spawn")]
    private static partial int LibcPosixSpawn(int* pid, byte* path, void* actions, void* attributes, byte** argv, byte** envp);

    /// <summary>gettid(2).</summary>
    public static int Gettid() => (int)RawShort(SyscallNumber.Gettid);

    /// <summary>kill(2).</summary>
    /// <returns>0, or -errno</returns>
    public static long Kill(int pid, int signal) => Raw(SyscallNumber.Kill, pid, signal);

    /// <summary>pidfd_open(2), close-on-exec; readable when the process has ended.</summary>
    /// <returns>a descriptor, or -errno (ESRCH: no such process)</returns>
    public static int PidfdOpen(int pid) => (int)Raw(SyscallNumber.PidfdOpen, pid, 0);

    /// <summary>wait4(2), repeated on EINTR.</summary>
    /// <param name="status">as waitpid(2) gives it</param>
    /// <returns>the pid, 0 with WNOHANG when nothing ended, or -errno</returns>
    public static int Wait(int pid, int options, out int status)
    {
        int s = 0; long r;
        do r = Raw(SyscallNumber.Wait4, pid, (long)&s, options); while (r == -Errno.EINTR);
        status = s;
        return (int)r;
    }

    /// <summary>posix_spawn(3): descriptors that are not close-on-exec are inherited; signal mask and actions as in the caller.</summary>
    /// <param name="environment">NAME=VALUE strings; null: the caller's own</param>
    /// <returns>the pid</returns>
    /// <exception cref="LinuxException">ENOENT, EACCES, ENOEXEC, ENOMEM …</exception>
    public static int Spawn(string path, IReadOnlyList<string> arguments, IReadOnlyList<string>? environment = null)
    {
        environment ??= [.. Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>().Select(e => $"{e.Key}={e.Value}")];
        int pid; int error;
        byte** argv = CStrings(arguments), envp = CStrings(environment);
        fixed (byte* p = CString(path)) error = LibcPosixSpawn(&pid, p, null, null, argv, envp);
        NativeMemory.Free(argv);
        NativeMemory.Free(envp);
        return error == 0 ? pid : throw new LinuxException("posix_spawn", error, path);
    }

    /// <summary>A NULL-ended array of NUL-ended strings in one native allocation; the caller frees it with NativeMemory.Free.</summary>
    public static byte** CStrings(IReadOnlyList<string> strings)
    {
        int bytes = (strings.Count + 1) * sizeof(byte*);
        foreach (string s in strings) bytes += System.Text.Encoding.UTF8.GetByteCount(s) + 1;
        byte* block = (byte*)NativeMemory.AllocZeroed((nuint)bytes);
        byte** pointers = (byte**)block;
        byte* at = block + (strings.Count + 1) * sizeof(byte*);
        for (int i = 0; i < strings.Count; i++)
        {
            pointers[i] = at;
            at += System.Text.Encoding.UTF8.GetBytes(strings[i], new Span<byte>(at, (int)(block + bytes - at))) + 1;
        }
        return pointers;
    }
}
