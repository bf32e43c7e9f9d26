namespace TreCr.SoftDevice.Engine;

/// <summary>Warp collectives.</summary>
enum CollectiveKind
{
    WarpSync = 1, ShflUp, ShflDown, ShflBfly, ShflIdx, VoteAll, VoteAny, VoteUni, Ballot, MatchAny, MatchAll, ActiveMask,
    ReduxAdd, ReduxAnd, ReduxOr, ReduxXor, ReduxMinS, ReduxMinU, ReduxMaxS, ReduxMaxU,
    /// <summary>+ A: number in the kernel's list of shapes</summary>
    Multiply,
    /// <summary>+ A: matrices, 16: transposed, 32: into memory</summary>
    MoveMatrix, TransposeMatrix,
    /// <summary>+ A: number in the kernel's list of fragment moves</summary>
    MoveFragment,
}
