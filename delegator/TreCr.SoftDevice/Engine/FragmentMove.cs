using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Engine;

/// <summary>One wmma.load or wmma.store.</summary>
/// <param name="ByColumns">columns lie one after the other in memory, not rows</param>
sealed record FragmentMove(Fragment Fragment, PtxSpace Space, bool ByColumns, bool Stores);
