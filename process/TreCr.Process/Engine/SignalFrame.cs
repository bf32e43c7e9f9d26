using System.Runtime.Intrinsics.X86;
using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>
/// What rt_sigreturn loads a thread's registers, mask and FPU state from: the end of everything that a thread is made to do, so that it goes on as it was if nobody stops it any more.
/// Source: arch/x86/include/uapi/asm/sigcontext.h, arch/x86/kernel/fpu/signal.c.
/// </summary>
internal static unsafe class SignalFrame
{
    /// <summary>Of its address, bytes.</summary>
    public const int Alignment = 64;

    private const int ContextBytes = 304, StateOffset = 320;

    /// <summary>Bytes from ucontext to the end of the FPU state.</summary>
    public static int LengthBytes(Tracee thread) => StateOffset + FrameState(thread.ExtendedState).Bytes + Alignment & ~(Alignment - 1);

    /// <summary>Writes the frame of the thread's own state.</summary>
    /// <param name="to"><see cref="LengthBytes"/>, zeroed</param><param name="address">where it will lie; the return address stands in the word below</param>
    public static void Write(byte* to, ulong address, Tracee thread)
    {
        byte[] state = thread.ExtendedState;
        (int bytes, ulong features) = FrameState(state);
        WriteContext((ulong*)to, Restartable(thread.Portable), address + StateOffset, thread.SignalMask);
        byte* f = to + StateOffset;
        state.AsSpan(0, bytes).CopyTo(new Span<byte>(f, bytes));
        *(uint*)(f + 464) = 0x46505853; // FP_XSTATE_MAGIC1
        *(uint*)(f + 468) = (uint)bytes + 4;
        *(ulong*)(f + 472) = features;
        *(uint*)(f + 480) = (uint)bytes;
        new Span<byte>(f + 484, 28).Clear();
        *(uint*)(f + bytes) = 0x46505845; // FP_XSTATE_MAGIC2
    }

    /// <summary>
    /// What the registers must be to go on from user mode. A call with a restart block (nanosleep, poll, timed futex: -516) starts again with its
    /// arguments, because sigreturn and restore lose the block and the kernel's own way would answer EINTR; relative timeouts begin again.
    /// </summary>
    internal static UserRegisters Restartable(UserRegisters r)
    {
        if ((long)r.OrigRax >= 0 && (long)r.Rax is -512 or -513 or -514 or -516) // ERESTARTSYS, NOINTR, NOHAND, RESTARTBLOCK
        {
            r.Rax = r.OrigRax;
            r.Rip -= 2;
        }
        r.OrigRax = ulong.MaxValue;
        return r;
    }

    private static void WriteContext(ulong* u, in UserRegisters r, ulong floating, ulong mask)
    {
        new Span<byte>(u, ContextBytes).Clear();
        u[0] = 7; // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS; an all-zero stack_t leaves the alternate stack alone
        ulong* m = u + 5;
        (m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7]) = (r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15);
        (m[8], m[9], m[10], m[11], m[12], m[13], m[14], m[15]) = (r.Rdi, r.Rsi, r.Rbp, r.Rbx, r.Rdx, r.Rax, r.Rcx, r.Rsp);
        (m[16], m[17], m[18], m[23]) = (r.Rip, r.Eflags, r.Cs & 0xffff | (r.Ss & 0xffff) << 48, floating);
        u[37] = mask;
    }

    /// <summary>Bytes and components of the XSAVE area that a signal frame takes: all but AMX (bits 17, 18), which needs a permission.</summary>
    private static (int Bytes, ulong Features) FrameState(byte[] state)
    {
        ulong features = BitConverter.ToUInt64(state, 464) & ~0x60000UL;
        int bytes = 576;
        for (int i = 2; i < 17; i++)
            if ((features >> i & 1) != 0) { var (size, offset, _, _) = X86Base.CpuId(0xd, i); bytes = Math.Max(bytes, size + offset); }
        return (Math.Min(bytes, state.Length), features);
    }
}
