using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>Copies beside the program: one thread; of several copies under way, slices of that with the highest priority, among equals of the oldest.</summary>
internal sealed class BlockCopier : IDisposable
{
    private readonly List<MirrorCopy> _copies = [];
    private readonly object _changed = new();
    private bool _started, _disposed;

    /// <summary>Begins copies; returns at once.</summary>
    public void Add(params ReadOnlySpan<MirrorCopy> copies)
    {
        lock (_changed)
        {
            foreach (MirrorCopy copy in copies)
            {
                int at = _copies.FindIndex(c => c.Priority < copy.Priority);
                _copies.Insert(at < 0 ? _copies.Count : at, copy);
            }
            if (!_started)
            {
                _started = true;
                new Thread(Work) { IsBackground = true, Name = "gpi-copy" }.Start();
            }
            Monitor.PulseAll(_changed);
        }
    }

    /// <summary>Returns when nothing is copied out of this memory any more.</summary>
    public void WaitFor(nint address, long bytes)
    {
        Task[] reading;
        lock (_changed) reading = [.. _copies.Where(c => c.Source >= address && c.Source < address + bytes).Select(c => c.Done)];
        Task.WaitAll(reading);
    }

    public void Dispose()
    {
        lock (_changed)
        {
            _disposed = true;
            Monitor.PulseAll(_changed);
        }
    }

    private void Work()
    {
        Sys.BlockProgramSignals();
        while (true)
        {
            MirrorCopy first;
            lock (_changed)
            {
                while (_copies.Count == 0 && !_disposed) Monitor.Wait(_changed);
                if (_disposed) return;
                first = _copies[0];
            }
            if (!first.CopySlice()) continue;
            lock (_changed) _copies.Remove(first);
            first.End();
        }
    }
}
