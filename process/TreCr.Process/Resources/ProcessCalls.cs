using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Calls through which a process tells what of its signals, timers and attributes nobody else can see; its first thread makes them.</summary>
internal sealed class ProcessCalls
{
    private const int Signals = 64, ActionBytes = 32, TimerBytes = 32, MEMBARRIER_CMD_GET_REGISTRATIONS = 512, ARCH_GET_XCOMP_PERM = 0x1022;

    /// <summary>Fourth argument of <see cref="OfSignals"/>: bytes of a signal set.</summary>
    public const long SignalSetBytes = 8;

    /// <summary>(get, set, through a pointer): PR_ values that are per process, in the order in which they are put back.</summary>
    private static readonly (int Get, int Set, bool Pointer)[] s_prctls = [(2, 1, true), (7, 8, false), (27, 28, false), (37, 36, true), (42, 41, false), (3, 4, false), (39, 38, false), (66, 65, false)];

    private readonly InjectedCall[] _actions = [.. Enumerable.Range(1, Signals).Where(s => s is not (Sys.SIGKILL or Sys.SIGSTOP))
        .Select(s => new InjectedCall(SyscallNumber.RtSigaction, s, 0, InjectedCall.Memory, ActionBytes))];
    private readonly InjectedCall[] _intervalTimers = [.. Enumerable.Range(0, 3).Select(which => new InjectedCall(SyscallNumber.Getitimer, which, InjectedCall.Memory, 0, TimerBytes))];
    private readonly InjectedCall[] _prctls = [.. s_prctls.Select(p => new InjectedCall(SyscallNumber.Prctl, p.Get, p.Pointer ? InjectedCall.Memory : 0, 0, p.Pointer ? 4 : 0))];
    private readonly InjectedCall _break = new(SyscallNumber.Brk), _registrations = new(SyscallNumber.Membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS),
        _permissions = new(SyscallNumber.ArchPrctl, ARCH_GET_XCOMP_PERM, InjectedCall.Memory, 0, 8);
    private readonly (PosixTimerImage Timer, InjectedCall Time)[] _posixTimers;

    public ProcessCalls(int pid) => _posixTimers = [.. PosixTimers.Read(pid).OrderBy(t => t.Id).Select(t => (t, new InjectedCall(SyscallNumber.TimerGettime, t.Id, InjectedCall.Memory, 0, TimerBytes)))];

    /// <summary>With <see cref="SignalSetBytes"/>.</summary>
    public IReadOnlyList<InjectedCall> OfSignals => _actions;

    public IEnumerable<InjectedCall> Others => [.. _intervalTimers, .. _posixTimers.Select(t => t.Time), _break, _registrations, _permissions, .. _prctls];

    /// <summary>Writes down what came of them.</summary>
    public void Fill(ProcessImage image, ProcStatus status)
    {
        byte[] actions = new byte[Signals * ActionBytes];
        foreach (InjectedCall action in _actions) action.Required.CopyTo(actions, (action.A - 1) * ActionBytes);
        image.SignalActions = ByteString.CopyFrom(actions);
        image.IntervalTimers = ByteString.CopyFrom([.. _intervalTimers.SelectMany(t => t.Required)]);
        foreach (var (timer, time) in _posixTimers)
        {
            PosixTimers.SetTime(timer, time.Required);
            image.PosixTimers.Add(timer);
        }
        image.MmFields.AddRange([(ulong)status.Stat(26), (ulong)status.Stat(27), (ulong)status.Stat(45), (ulong)status.Stat(46), (ulong)status.Stat(47), (ulong)_break.Result,
            (ulong)status.Stat(28), (ulong)status.Stat(48), (ulong)status.Stat(49), (ulong)status.Stat(50), (ulong)status.Stat(51)]);
        if (_registrations.Result > 0) image.Membarrier = (ulong)_registrations.Result;
        if (_permissions.Result >= 0) image.XcompPermissions = BitConverter.ToUInt64(_permissions.Data);
        foreach (var ((get, set, pointer), call) in s_prctls.Zip(_prctls))
        {
            if (call.Result < 0) continue; // this kernel does not have it
            long value = pointer ? BitConverter.ToInt32(call.Data) : call.Result;
            if (value != 0 || set == 4) image.Prctls.Add(new PrctlImage { Get = get, Set = set, Value = (ulong)value });
        }
    }
}
