using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Runs a group whose lanes have parted.</summary>
/// <param name="way">where from: the block at whose end they part, or, from the number of blocks on, the block at which all that there are go on</param>
/// <returns>the block at which all lanes go on without masks; -1: the group has ended, stopped at a barrier, or become single threads</returns>
unsafe delegate int MaskedMethod(BlockContext* context, int group, int way);

/// <summary>A kernel compiled for groups of threads in lockstep, for one kind of block shape.</summary>
/// <param name="shape">what a launch needs to know of it</param>
/// <param name="facts">what is needed beside it once lanes part, or for another variant</param>
/// <param name="chunks">with all checks</param>
sealed class SimdVariant(GroupShape shape, Lazy<GroupFacts> facts, ChunkMethod[] chunks, Lazy<MaskedMethod?> masked, Lazy<CompiledKernel> resumable)
{
    /// <summary>Room per group for what is done lane by lane, bytes.</summary>
    public const int ScratchBytes = 64 * 256;
    /// <summary>In it: the masks of the lanes that are due at each block while lanes have parted (0 before and after), and how often the group at hand has come to masked code.</summary>
    public const int MasksOffset = 48 * 256, EntriesOffset = MasksOffset - 8;

    public GroupShape Shape => shape;
    public int Lanes => shape.Lanes;
    public bool UsesGroups => shape.UsesGroups;
    public GroupFacts Facts => facts.Value;
    public ChunkMethod[] Chunks => chunks;
    /// <summary>without those that the launch shows to be needless; null where there is none</summary>
    public FastVariant? Fast { get; set; }
    /// <summary>The code for groups whose lanes have parted, compiled when that happens first; null where masks cannot do it.</summary>
    public MaskedMethod? Masked => masked.Value;
    /// <summary>The same kernel for single threads, which can begin at every block: groups whose lanes part go on in it. Compiled when it happens first.</summary>
    public CompiledKernel Resumable => resumable.Value;
}

/// <summary>How a kernel runs in groups.</summary>
/// <param name="Lanes">threads in a group: 8, 16 or 32</param>
/// <param name="TidIsAffine">tid.x counts up inside every group</param>
/// <param name="UsesGroups">groups can stop in the middle (barriers, loops that wait)</param>
/// <param name="WithMasks">masks can go on where lanes part</param>
/// <param name="Blocks">of its code</param>
/// <param name="FrameBytes">where a stopped group keeps its registers</param>
readonly record struct GroupShape(int Lanes, bool TidIsAffine, bool UsesGroups, bool WithMasks, int Blocks, int FrameBytes);
