namespace TreCr.Wrapper.Mpi;

/// <summary>What a packet is, between programs.</summary>
internal enum PacketKind : ushort
{
    /// <summary>Envelope and all bytes of a message.</summary>
    Eager = 1,

    /// <summary>Envelope of a message whose bytes stay with the sender until a receive has been found.</summary>
    Request,

    /// <summary>The receive for <see cref="Request"/> is found: send.</summary>
    Clear,

    /// <summary>Bytes of such a message, in order.</summary>
    Data,

    /// <summary>Nothing but credit.</summary>
    Credit,
}
