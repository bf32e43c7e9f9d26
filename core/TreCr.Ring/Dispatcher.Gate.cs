using System.Diagnostics;
using TreCr.Calls.Cuda;

namespace TreCr.Ring;

/// <summary>The gate (design.md §4, step 2): issuing stops, records stay where they are, what was issued runs to its end.</summary>
public sealed unsafe partial class Dispatcher
{
    private const int GateOpen = 0, GateAsked = 1, GateClosed = 2;

    private readonly ManualResetEventSlim _open = new(true);
    private readonly AutoResetEvent _progress = new(false);
    private int _gateState, _busyPartners;
    private string? _waitsFor; // why a gate that was asked for does not close

    /// <summary>True from <see cref="Close"/> to <see cref="Open"/>.</summary>
    public bool IsGated => Volatile.Read(ref _gateState) != GateOpen;

    /// <summary>Stops issuing and waits until everything issued has ended. On failure the gate stands open again.</summary>
    /// <param name="deadline">longest wait</param>
    /// <param name="blocker">name of a call that did not end</param>
    /// <returns>true: no record is being run; those between Tail and Head were never begun</returns>
    /// <remarks>One control thread; blocks.</remarks>
    public bool Close(TimeSpan deadline, out string? blocker)
    {
        blocker = null;
        long end = Stopwatch.GetTimestamp() + (long)(deadline.TotalSeconds * Stopwatch.Frequency);
        _open.Reset();
        Interlocked.CompareExchange(ref _gateState, GateAsked, GateOpen);
        Wake();
        _open.Reset(); // Wake sets it
        while (Volatile.Read(ref _gateState) != GateClosed || Volatile.Read(ref _busyPartners) != 0)
        {
            double left = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), end).TotalMilliseconds;
            if (left <= 0 || _ended.IsSet)
            {
                blocker = _ended.IsSet ? "the dispatcher has ended" : NameBlocker();
                Open();
                return false;
            }
            _progress.WaitOne((int)Math.Min(left + 1, 100));
        }
        return true;
    }

    /// <summary>Goes on issuing.</summary>
    public void Open()
    {
        Interlocked.Exchange(ref _gateState, GateOpen);
        Wake();
    }

    /// <summary>Dispatcher thread, the gate being asked for or closed: where others wait for what stands in the ring, records are issued one by one until they do not.</summary>
    private void StepGate()
    {
        GateStep step = GateStep.Close;
        if (Volatile.Read(ref _gateState) == GateAsked) step = _handler.StepGate(out _waitsFor);
        if (step == GateStep.Close) Park();
        else if (step == GateStep.GoOn && Scan()) IssueSettled();
        else
        {
            _open.Wait(1);
            if (Volatile.Read(ref _gateState) != GateOpen) _open.Reset();
        }
    }

    /// <summary>Says that it issues nothing, then waits for <see cref="Open"/>.</summary>
    private void Park()
    {
        if (Interlocked.CompareExchange(ref _gateState, GateClosed, GateAsked) == GateAsked) _progress.Set();
        if (Volatile.Read(ref _gateState) == GateOpen || Volatile.Read(ref _stop) != 0) return;
        _open.Wait(100);
        if (Volatile.Read(ref _gateState) != GateOpen) _open.Reset();
    }

    private void PartnerFinished()
    {
        if (Volatile.Read(ref _gateState) != GateOpen) _progress.Set();
    }

    private string NameBlocker()
    {
        if (Volatile.Read(ref _gateState) == GateAsked && Volatile.Read(ref _waitsFor) is { } other) return other;
        int current = Volatile.Read(ref _current);
        if (current != 0) return _handler.NameOf((ushort)(current - 1));
        for (int i = 0; i < _bound; i++)
        {
            if (Volatile.Read(ref _channels[i].Busy) != 0 && _partners[i] is { } partner)
                return $"{_handler.NameOf(partner.Record->Call)} of thread {_channels[i].Header->OwnerTid}";
        }
        return "a call";
    }
}
