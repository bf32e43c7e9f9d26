using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TreCr.Linux;

namespace TreCr.Process.Engine;

/// <summary>The one thread that makes every ptrace call: only the thread that seized may act, and its end detaches (process.md §1).</summary>
internal sealed class TracerThread : IDisposable
{
    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;

    public TracerThread()
    {
        _thread = new Thread(Work) { IsBackground = true, Name = "trecr-tracer" };
        _thread.Start();
    }

    private void Work()
    {
        const int PR_SET_TIMERSLACK = 29;
        Sys.Raw(SyscallNumber.Prctl, PR_SET_TIMERSLACK, 1); // waits for stops sleep a few us: the usual slack is 50
        foreach (Action action in _work.GetConsumingEnumerable()) action();
    }

    /// <summary>Runs the function there and waits; its exception comes back here. Callable from the thread itself.</summary>
    public T Run<T>(Func<T> function)
    {
        if (Thread.CurrentThread == _thread) return function();
        T? result = default;
        ExceptionDispatchInfo? error = null;
        using ManualResetEventSlim done = new();
        _work.Add(() =>
        {
            try { result = function(); }
            catch (Exception e) { error = ExceptionDispatchInfo.Capture(e); }
            finally { done.Set(); }
        });
        done.Wait();
        error?.Throw();
        return result!;
    }

    public void Run(Action action) => Run(() => { action(); return 0; });

    public void Dispose()
    {
        _work.CompleteAdding();
        if (Thread.CurrentThread != _thread) _thread.Join(5000);
    }
}
