namespace TreCr.SoftDevice.Engine;

/// <summary>Warp collectives.</summary>
enum CollectiveKind
{
    WarpSync = 1, ShflUp, ShflDown, ShflBfly, ShflIdx, VoteAll, VoteAny, VoteUni, Ballot, MatchAny, MatchAll, ActiveMask,
    ReduxAdd, ReduxAnd, ReduxOr, ReduxXor, ReduxMinS, ReduxMinU, ReduxMaxS, ReduxMaxU,
}
