namespace TreCr.Linux;

/// <summary>ptrace(2): requests, registers, and the wait statuses of a seized thread. All calls for a tracee come from the thread that seized it.</summary>
public static unsafe partial class Sys
{
    public const int PTRACE_CONT = 7, PTRACE_DETACH = 17, PTRACE_SYSCALL = 24, PTRACE_SETOPTIONS = 0x4200, PTRACE_GETEVENTMSG = 0x4201, PTRACE_GETREGSET = 0x4204,
        PTRACE_SETREGSET = 0x4205, PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_PEEKSIGINFO = 0x4209, PTRACE_GETSIGMASK = 0x420a,
        PTRACE_SETSIGMASK = 0x420b, PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;
    public const int PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_TRACEFORK = 2, PTRACE_O_TRACEVFORK = 4, PTRACE_O_TRACECLONE = 8, PTRACE_O_EXITKILL = 0x100000;
    public const int PTRACE_EVENT_FORK = 1, PTRACE_EVENT_VFORK = 2, PTRACE_EVENT_CLONE = 3, PTRACE_EVENT_STOP = 128;
    public const int NT_PRSTATUS = 1, NT_X86_XSTATE = 0x202;

    /// <summary>ptrace(2), raw kernel form.</summary>
    /// <returns>0 or a value, or -errno (ESRCH: not stopped, or gone)</returns>
    public static long Ptrace(int request, int tid, long address = 0, long data = 0) => Raw(SyscallNumber.Ptrace, request, tid, address, data);

    /// <summary>General registers of a stopped tracee.</summary>
    public static UserRegisters GetRegisters(int tid)
    {
        UserRegisters registers; IoVector vector = new() { Base = (ulong)&registers, LengthBytes = (ulong)sizeof(UserRegisters) };
        Check(Ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, (long)&vector), "ptrace(GETREGSET)", $"thread {tid}");
        return registers;
    }

    /// <summary>Sets the general registers of a stopped tracee.</summary>
    public static void SetRegisters(int tid, in UserRegisters registers)
    {
        UserRegisters copy = registers; IoVector vector = new() { Base = (ulong)&copy, LengthBytes = (ulong)sizeof(UserRegisters) };
        Check(Ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, (long)&vector), "ptrace(SETREGSET)", $"thread {tid}");
    }

    /// <summary>The XSAVE area (x87, SSE, AVX, AVX-512, PKRU, AMX), non-compacted layout, this host's length.</summary>
    public static byte[] GetExtendedState(int tid)
    {
        byte[] bytes = new byte[16384];
        fixed (byte* p = bytes)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)bytes.Length };
            Check(Ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, (long)&vector), "ptrace(GETREGSET XSTATE)", $"thread {tid}");
            return bytes[..(int)vector.LengthBytes];
        }
    }

    /// <summary>Sets the XSAVE area; the length must be exactly this host's.</summary>
    public static void SetExtendedState(int tid, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
        {
            IoVector vector = new() { Base = (ulong)p, LengthBytes = (ulong)bytes.Length };
            Check(Ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, (long)&vector), "ptrace(SETREGSET XSTATE)", $"thread {tid}");
        }
    }

    /// <summary>Blocked signals of a stopped tracee, bit n-1 for signal n; the saved mask while inside sigsuspend or ppoll.</summary>
    public static ulong GetSignalMask(int tid)
    {
        ulong mask;
        Check(Ptrace(PTRACE_GETSIGMASK, tid, 8, (long)&mask), "ptrace(GETSIGMASK)", $"thread {tid}");
        return mask;
    }

    /// <summary>Sets the blocked signals of a stopped tracee.</summary>
    public static void SetSignalMask(int tid, ulong mask) => Check(Ptrace(PTRACE_SETSIGMASK, tid, 8, (long)&mask), "ptrace(SETSIGMASK)", $"thread {tid}");
}

/// <summary>struct user_regs_struct, 216 bytes (arch/x86/include/asm/user_64.h).</summary>
public struct UserRegisters
{
    public ulong R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8, Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip, Cs, Eflags, Rsp, Ss, FsBase, GsBase, Ds, Es, Fs, Gs;
}

/// <summary>A wait status of a traced thread, taken apart (ptrace(2), "Stopped states").</summary>
public readonly record struct StopStatus(int Status)
{
    public bool Stopped => (Status & 0xff) == 0x7f;
    public int Event => Status >> 16;
    public int Signal => (Status >> 8) & 0xff;

    /// <summary>Syscall-entry or -exit stop under TRACESYSGOOD.</summary>
    public bool IsSyscallStop => Stopped && Event == 0 && Signal == 0x85;
}
