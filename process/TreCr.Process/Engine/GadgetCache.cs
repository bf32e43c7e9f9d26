using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Engine;

/// <summary>Gadgets found earlier. Forked processes have them at the same addresses; what a process has there is compared before use, because it may have executed another program since.</summary>
internal sealed class GadgetCache
{
    private readonly List<Gadgets> _known = [];

    /// <exception cref="ProcessException">the code of the program has none</exception>
    public Gadgets Of(int pid, IReadOnlyList<Vma> areas)
    {
        foreach (Gadgets gadgets in _known)
            if (gadgets.AreIn(pid, areas)) return gadgets;
        Gadgets found = Gadgets.Find(pid, areas);
        if (_known.Count > 64) _known.Clear();
        _known.Insert(0, found);
        return found;
    }
}
