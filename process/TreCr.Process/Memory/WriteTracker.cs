using TreCr.Images;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Memory;

/// <summary>placeholder until tracking lands</summary>
internal sealed class WriteTracker : IDisposable
{
    public int Pid => 0;
    public static WriteTracker Create(FrozenProcess frozen, StackInjector injector) => throw new ProcessException("write tracking is not available");
    public void Arm(List<Vma> areas) { }
    public void Precopy(ISnapshotWriter writer) { }
    public long Capture(ISnapshotWriter writer, List<Vma> areas, List<PageRun> runs) => 0;
    public void Commit() { }
    public void Abort() { }
    public void Dispose() { }
}
