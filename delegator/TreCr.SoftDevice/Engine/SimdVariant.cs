using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>A kernel compiled for groups of threads in lockstep, for one kind of block shape.</summary>
/// <param name="lanes">threads in a group: 8, 16 or 32</param>
/// <param name="usesGroups">groups can stop in the middle (barriers, loops that wait)</param>
sealed class SimdVariant(int lanes, FlowGraph graph, Shapes shapes, Divergence? divergence, SimdLayout layout, bool usesGroups, ChunkMethod[] chunks, Lazy<CompiledKernel> resumable)
{
    /// <summary>Room per group for what is done lane by lane, bytes.</summary>
    public const int ScratchBytes = 64 * 256;

    public int Lanes => lanes;
    public FlowGraph Graph => graph;
    public Shapes Shapes => shapes;
    /// <summary>what is known of lanes that part; null: groups are given up there</summary>
    public Divergence? Divergence => divergence;
    public SimdLayout Layout => layout;
    public bool UsesGroups => usesGroups;
    /// <summary>with all checks</summary>
    public ChunkMethod[] Chunks => chunks;
    /// <summary>without those that the launch shows to be needless; null where there is none</summary>
    public FastVariant? Fast { get; set; }
    /// <summary>The same kernel for single threads, which can begin at every block: groups whose lanes part go on in it. Compiled when it happens first.</summary>
    public CompiledKernel Resumable => resumable.Value;
}
