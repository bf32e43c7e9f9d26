namespace TreCr.Api.Gpi;

/// <summary>One generation on its way into a half of a mirror.</summary>
internal sealed class MirrorCopy(MirrorImage image, int half, ulong generation, nint source, int priority)
{
    private const long SliceBytes = 4 << 20;

    private readonly TaskCompletionSource _done = new();
    private long _copied;
    private volatile bool _cancelled;

    public int Priority => priority;

    public nint Source => source;

    /// <summary>Ends when all is copied, or nothing is copied any more.</summary>
    public Task Done => _done.Task;

    /// <summary>Bytes that differed from what the half had.</summary>
    public long ChangedBytes { get; private set; }

    public void Cancel() => _cancelled = true;

    /// <returns>true: that was the last one</returns>
    public bool CopySlice()
    {
        if (_cancelled) return true;
        if (_copied == 0) image.Begin(half);
        long bytes = Math.Min(SliceBytes, image.Bytes - _copied);
        ChangedBytes += image.Update(half, _copied, source, bytes);
        _copied += bytes;
        if (_copied < image.Bytes) return false;
        image.Complete(half, generation);
        return true;
    }

    public void End() => _done.TrySetResult();
}
