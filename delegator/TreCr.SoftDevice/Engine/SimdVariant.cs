using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Runs a group whose lanes have parted.</summary>
/// <param name="way">where from: the block at whose end they part, or, from the number of blocks on, the block at which all that there are go on</param>
/// <returns>the block at which all lanes go on without masks; -1: the group has ended, stopped at a barrier, or become single threads</returns>
unsafe delegate int MaskedMethod(BlockContext* context, int group, int way);

/// <summary>A kernel compiled for groups of threads in lockstep, for one kind of block shape.</summary>
/// <param name="lanes">threads in a group: 8, 16 or 32</param>
/// <param name="usesGroups">groups can stop in the middle (barriers, loops that wait)</param>
sealed class SimdVariant(int lanes, FlowGraph graph, Shapes shapes, Divergence? divergence, SimdLayout layout, bool usesGroups, ChunkMethod[] chunks, Lazy<MaskedMethod?> masked, Lazy<CompiledKernel> resumable)
{
    /// <summary>Room per group for what is done lane by lane, bytes.</summary>
    public const int ScratchBytes = 64 * 256;
    /// <summary>In it: the masks of the lanes that are due at each block while lanes have parted (0 before and after), and how often the group at hand has come to masked code.</summary>
    public const int MasksOffset = 48 * 256, EntriesOffset = MasksOffset - 8;

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
    /// <summary>The code for groups whose lanes have parted, compiled when that happens first; null where masks cannot do it.</summary>
    public MaskedMethod? Masked => masked.Value;
    /// <summary>The same kernel for single threads, which can begin at every block: groups whose lanes part go on in it. Compiled when it happens first.</summary>
    public CompiledKernel Resumable => resumable.Value;
}
