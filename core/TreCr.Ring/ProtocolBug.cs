namespace TreCr.Ring;

/// <summary>Mistakes in the protocol between ranks that a test build of it can make, to see that the explorer of schedules finds them (tests/TreCr.Mpi.Tests). The product makes none: its <c>Seeded</c> always says no.</summary>
public enum ProtocolBug
{
    None,

    /// <summary>A rank takes itself for drained while packets that it has begun are not sent.</summary>
    DrainedWithSendsUnderWay,

    /// <summary>A rank takes itself for drained before all others have said that they send nothing more.</summary>
    DrainedWithoutMarkers,

    /// <summary>Credit that a packet brings is not counted.</summary>
    CreditForgotten,

    /// <summary>A message does not wait behind an earlier one to the same rank that has no room.</summary>
    SendOvertakes,

    /// <summary>All collective calls of a communicator have one tag.</summary>
    CollectivesShareTag,

    /// <summary>Of messages that nobody waits for yet the newest is received first.</summary>
    NewestFirst,
}
