namespace TreCr.Api;

/// <summary>Checkpoints whose file is written behind the program: of regions that say so (<see cref="RegionCopy"/>), with an async configuration. One at a time.</summary>
public sealed partial class ProgramCheckpoints
{
    private readonly Dictionary<int, IRegionSnapshot> _snapshots = [];
    private SortedDictionary<int, ProtectedRegion>? _captured; // of the open checkpoint
    private Thread? _writer;
    private string? _writerProblem;

    private bool IsWrittenBehind(IReadOnlyList<ProtectedRegion> chosen) => _captured is not null || (_settings.Async && _written is null && chosen.Any(r => r.Copy != RegionCopy.Written));

    /// <summary>Takes copies, but of what does not change.</summary>
    private void Capture(IReadOnlyList<ProtectedRegion> chosen)
    {
        _captured ??= [];
        foreach (ProtectedRegion region in chosen)
        {
            if (region.Copy == RegionCopy.ReadOnly)
            {
                _captured[region.Id] = region;
                continue;
            }
            if (!_snapshots.TryGetValue(region.Id, out IRegionSnapshot? snapshot) || !snapshot.Fits(region))
            {
                snapshot?.Dispose();
                _snapshots.Remove(region.Id);
                _snapshots[region.Id] = snapshot = region.Memory.TrySnapshot(region.Bytes) ?? new HostSnapshot(region.Bytes);
            }
            snapshot.Take(region);
            _captured[region.Id] = region with { Memory = snapshot.Memory, Address = snapshot.Address };
        }
    }

    /// <summary>Begins to write what was captured; what goes wrong is said by the next <see cref="Wait"/>.</summary>
    private void WriteBehind(CheckpointId id, SortedDictionary<int, ProtectedRegion> regions)
    {
        _writer = new Thread(() =>
        {
            Linux.Sys.BlockProgramSignals();
            try { Publish(id, WriteFile(id, regions), null); }
            catch (Exception e) { _writerProblem ??= $"{id}: {e.Message}"; }
        }) { IsBackground = true, Name = "checkpoint writer" };
        _writer.Start();
    }

    /// <summary>Waits until nothing is written behind the program: until then the directories are the writer's.</summary>
    private void Settle()
    {
        _writer?.Join();
        _writer = null;
    }
}
