namespace TreCr.Backend.Mpi;

/// <summary>What moves bytes between ranks: the real MPI library, or a model of one that tests drive step by step. Messages between two ranks do not overtake each other.</summary>
internal unsafe interface IPacketNetwork
{
    /// <summary>World rank.</summary>
    int Rank { get; }

    int Size { get; }

    int AnySource { get; }

    /// <summary>Begins to send.</summary>
    /// <returns>request; the bytes stay until it is complete</returns>
    nint Send(void* bytes, int count, int to, int tag);

    /// <summary>Looks for a message and takes it out of matching.</summary>
    /// <param name="from">rank or <see cref="AnySource"/></param>
    bool TryProbe(int from, out nint message, out int source, out int tag, out int count);

    /// <summary>Begins to receive a probed message.</summary>
    /// <returns>request</returns>
    nint Receive(void* into, int count, nint message);

    /// <returns>true: complete, and the request is no more</returns>
    bool Test(ref nint request);
}
