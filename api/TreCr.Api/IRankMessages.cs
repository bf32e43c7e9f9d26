namespace TreCr.Api;

/// <summary>Ranks that send each other bytes. Messages between two ranks arrive in the order in which they were sent; every failure is a <see cref="CheckpointException"/>.</summary>
public interface IRankMessages : IRankGroup
{
    /// <summary>What each rank gives, for all.</summary>
    /// <returns>[<see cref="IRankGroup.Count"/>]</returns>
    byte[][] Gather(ReadOnlySpan<byte> own);

    /// <summary>Begins to send; the bytes stay where they are and as they are until <see cref="WaitSent"/> returns.</summary>
    void StartSend(int to, nint address, int bytes);

    /// <summary>Waits for a message of exactly so many bytes.</summary>
    void Receive(int from, nint address, int bytes);

    /// <summary>Waits until everything that was begun has been sent.</summary>
    void WaitSent();
}
