using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;

namespace TreCr.SoftDevice.Emit;

/// <summary>Where a stopped group keeps its registers: those that live across blocks, vectors whole, the others as one value.</summary>
sealed class SimdLayout
{
    /// <summary>bytes from the start of the group's frame; -1: never saved</summary>
    public required int[] Offset { get; init; }
    public required int FrameBytes { get; init; }
    public required bool TidIsAffine { get; init; }
    public required VectorWidth Width { get; init; }

    public static SimdLayout Of(FlowGraph g, Shapes shapes, int lanes, bool tidIsAffine)
    {
        int[] offset = new int[g.Function.Registers.Count];
        Array.Fill(offset, -1);
        int at = 0;
        // Vectors first, so that each lies in cache lines of its own; single values close together behind them.
        foreach (bool vectors in (ReadOnlySpan<bool>)[true, false])
            for (int r = 0; r < offset.Length; r++)
            {
                if (g.SlotOffset[r] < 0 || vectors != (shapes.IsVarying(r) && g.Classes[r] != RegisterClass.Pred)) continue;
                offset[r] = at;
                at += vectors ? lanes * (g.Classes[r] is RegisterClass.I64 or RegisterClass.F64 ? 8 : 4) : 8;
            }
        return new() { Offset = offset, FrameBytes = Math.Max(at, 64) + 63 & ~63, TidIsAffine = tidIsAffine, Width = VectorWidth.For(lanes) };
    }
}
