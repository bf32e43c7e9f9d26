namespace TreCr.SoftDevice.Collectives;

/// <summary>A communicator cannot go on.</summary>
/// <param name="error">one of NCCL's (ncclResult_t)</param>
/// <param name="rank">the member that it is about</param>
sealed class CollectiveException(uint error, uint rank, string message) : Exception(message)
{
    public const uint SystemError = 2, InvalidArgument = 4, InvalidUsage = 5, RemoteError = 6;

    public uint Error => error;
    public uint Rank => rank;
}
