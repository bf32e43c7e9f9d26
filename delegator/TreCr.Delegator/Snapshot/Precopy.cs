using System.Collections.Concurrent;
using TreCr.Images;

namespace TreCr.Delegator.Snapshot;

/// <summary>What was copied into a snapshot while the program ran (design.md §4, prepare): its open parts, and the hashes of the copies.</summary>
/// <param name="hot">frames that the last captures found changed again after they had been copied ahead: copying them ahead once more would only fill the store</param>
internal sealed class Precopy(Dictionary<string, HashSet<long>> hot)
{
    public Dictionary<string, IPartWriter> Parts { get; } = [];

    public FrameHashes Hashes { get; } = new();

    /// <summary>How many those are, in all parts.</summary>
    public int HotCount
    {
        get { lock (hot) return hot.Values.Sum(frames => frames.Count); }
    }

    /// <summary>Frames of a part that are not worth copying ahead; the capture keeps the set up to date.</summary>
    public HashSet<long> Hot(string part)
    {
        lock (hot) return hot.TryGetValue(part, out HashSet<long>? frames) ? frames : hot[part] = [];
    }

    /// <summary>
    /// Copies of frames that were written again after they had been copied ahead, in buffers of the writer. They stay in memory, and only their last state is stored.
    /// </summary>
    public ConcurrentDictionary<long, nint> Held(string part) => _held.GetOrAdd(part, _ => new());

    private readonly ConcurrentDictionary<string, ConcurrentDictionary<long, nint>> _held = new();
    private readonly List<Action> _later = [];

    /// <summary>Something that needs nothing of the stop: handing over thousands of held frames takes longer than all else in it.</summary>
    public void Later(Action action) => _later.Add(action);

    /// <summary>The program runs again: does what the capture has left. Before the snapshot is finished; without it held frames would not be in it.</summary>
    public void EndCapture()
    {
        foreach (Action action in _later) action();
        _later.Clear();
    }
}
