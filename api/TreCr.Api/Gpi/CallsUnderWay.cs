namespace TreCr.Api.Gpi;

/// <summary>Calls that have begun and whose result nobody has had: one that timed out goes on when it is made again.</summary>
public sealed class CallsUnderWay
{
    /// <summary>GASPI_BLOCK.</summary>
    public const ulong Endless = ulong.MaxValue;

    private readonly Dictionary<string, Task> _calls = [];

    /// <summary>Begins a call, or goes on with it, and waits.</summary>
    /// <param name="key">the same for the same call</param>
    /// <param name="timeoutMs">0: only looks; <see cref="Endless"/></param>
    /// <returns>false: it has not ended in this time</returns>
    /// <exception cref="Exception">what the call came to; the next one is a new one</exception>
    public bool TryEnd<T>(string key, ulong timeoutMs, Func<Task<T>> begin, out T result)
    {
        Task<T>? call;
        lock (_calls) call = _calls.GetValueOrDefault(key) as Task<T>;
        if (call is null)
        {
            call = begin();
            lock (_calls) _calls[key] = call;
        }
        bool ended = call.IsCompleted;
        // What a task has failed with comes out of GetResult, not out of the wait.
        if (!ended && timeoutMs > 0) ended = Task.WaitAny([call], timeoutMs > int.MaxValue ? -1 : (int)timeoutMs) == 0;
        result = default!;
        if (!ended) return false;
        Forget(key);
        result = call.GetAwaiter().GetResult();
        return true;
    }

    /// <summary>Whether a call has begun whose result nobody has had.</summary>
    public bool Has(string key) { lock (_calls) return _calls.ContainsKey(key); }

    /// <summary>Nobody asks for a call's result any more.</summary>
    public void Forget(string key)
    {
        Task? call;
        lock (_calls) _calls.Remove(key, out call);
        call?.ContinueWith(t => _ = t.Exception, TaskContinuationOptions.ExecuteSynchronously);
    }
}
