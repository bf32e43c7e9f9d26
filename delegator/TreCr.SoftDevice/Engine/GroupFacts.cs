using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>What is known of a kernel whose threads run in groups: needed to make code for them, and where a group is given up.</summary>
/// <param name="Divergence">what is known of lanes that part; null: groups are given up there</param>
sealed record GroupFacts(FlowGraph Graph, Shapes Shapes, Divergence? Divergence, SimdLayout Layout);
