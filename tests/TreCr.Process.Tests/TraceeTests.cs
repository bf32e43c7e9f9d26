using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Tests;

/// <summary>Registers of calls that the kernel would go on with by itself, as they are saved.</summary>
[TestFixture]
public sealed class TraceeTests
{
    private const ulong Instruction = 0x401000, After = Instruction + 2, Interrupted = unchecked((ulong)-516L);

    /// <summary>A thread that was stopped a second time before it made restart_syscall stands at the instruction, its number in rax: made in a process that was restored, it would answer EINTR.</summary>
    [Test]
    public void AboutToRestart_MakesTheCallItself()
    {
        UserRegisters saved = new Tracee(1, 1) { Registers = new UserRegisters { Rax = (ulong)SyscallNumber.RestartSyscall, OrigRax = (ulong)SyscallNumber.Poll, Rip = Instruction }, IsAboutToRestart = true, RestartedCall = (long)SyscallNumber.Poll }.Portable;
        Assert.That((saved.Rax, saved.OrigRax, saved.Rip), Is.EqualTo(((ulong)SyscallNumber.Poll, ulong.MaxValue, Instruction)));
        saved = SignalFrame.Restartable(saved);
        Assert.That((saved.Rax, saved.Rip), Is.EqualTo(((ulong)SyscallNumber.Poll, Instruction)));
    }

    [Test]
    public void AboutToRestartNobodyKnowsWhat_IsInterrupted()
    {
        UserRegisters saved = new Tracee(1, 1) { Registers = new UserRegisters { Rax = (ulong)SyscallNumber.RestartSyscall, OrigRax = (ulong)SyscallNumber.RestartSyscall, Rip = Instruction }, IsAboutToRestart = true }.Portable;
        Assert.That(((long)saved.Rax, saved.OrigRax, saved.Rip), Is.EqualTo((-(long)Errno.EINTR, ulong.MaxValue, After)));
    }

    [TestCase(SyscallNumber.Poll), TestCase(SyscallNumber.RestartSyscall)]
    public void Interrupted_StartsAgain(SyscallNumber number)
    {
        UserRegisters saved = SignalFrame.Restartable(new Tracee(1, 1) { Registers = new UserRegisters { Rax = Interrupted, OrigRax = (ulong)number, Rip = After }, RestartedCall = (long)SyscallNumber.Poll }.Portable);
        Assert.That((saved.Rax, saved.OrigRax, saved.Rip), Is.EqualTo(((ulong)SyscallNumber.Poll, ulong.MaxValue, Instruction)));
    }
}
