namespace TreCr.Linux;

public static unsafe partial class Sys
{
    /// <summary>Becomes another program: all signals as by default and none blocked, all other threads end.</summary>
    /// <returns>the error number; where it succeeds it does not return</returns>
    /// <remarks>Source: execve(2). An ignored signal stays ignored over it, and .NET ignores SIGPIPE.</remarks>
    public static int Execute(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        nint words = (nint)CStrings(arguments), variables = (nint)CStrings(environment);
        SetDefaultSignals();
        fixed (byte* file = CString(path)) return (int)-Raw(SyscallNumber.Execve, (long)file, words, variables);
    }

    /// <summary>Ends this process by a signal, without a core file.</summary>
    public static void EndBySignal(int signal)
    {
        const int PR_SET_DUMPABLE = 4;
        Raw(SyscallNumber.Prctl, PR_SET_DUMPABLE, 0);
        SetDefaultSignals();
        Raw(SyscallNumber.Kill, Raw(SyscallNumber.Getpid), signal);
    }

    private static void SetDefaultSignals()
    {
        byte* action = stackalloc byte[32];
        new Span<byte>(action, 32).Clear();
        for (int signal = 1; signal <= 64; signal++)
            if (signal is not (SIGKILL or SIGSTOP)) Raw(SyscallNumber.RtSigaction, signal, (long)action, 0, 8);
        ulong none = 0;
        Raw(SyscallNumber.RtSigprocmask, 2, (long)&none, 0, 8);
    }
}
