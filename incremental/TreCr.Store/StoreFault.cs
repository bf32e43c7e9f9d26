using TreCr.Linux;

namespace TreCr.Store;

/// <summary>Fault points of the store: an armed errno comes as the <see cref="StoreException"/> that a failed call there would be.</summary>
internal static class StoreFault
{
    /// <returns>true: a write is to be torn</returns>
    internal static bool At(FaultPoint point, string path)
    {
        try { return Fault.TearsAt(point); }
        catch (LinuxException e) { throw StoreException.FromErrno(e.ErrorNumber, e.Call, path); }
    }
}
