using TreCr.Control;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>Which error a failure of the store is.</summary>
internal static class StoreErrors
{
    public static TrecrError For(StoreErrorKind kind) => kind switch
    {
        StoreErrorKind.NotAStore => TrecrError.NotAStore,
        StoreErrorKind.NewerFormat => TrecrError.NewerFormat,
        StoreErrorKind.Damaged => TrecrError.Damaged,
        StoreErrorKind.NoSpace => TrecrError.NoSpace,
        StoreErrorKind.NotFound => TrecrError.StoreNotFound,
        StoreErrorKind.Busy => TrecrError.StoreBusy,
        StoreErrorKind.OtherOwner => TrecrError.StoreOtherOwner,
        StoreErrorKind.WrongKey => TrecrError.StoreKey,
        _ => TrecrError.StoreIO,
    };
}
