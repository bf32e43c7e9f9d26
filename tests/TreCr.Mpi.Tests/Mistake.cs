using TreCr.Ring;

namespace TreCr.Mpi.Tests;

/// <summary>The one mistake that the ranks of this copy of the assembly make.</summary>
internal static class Mistake
{
    public static ProtocolBug Active { get; set; }
}

/// <summary>A rank or the network has found something that cannot be.</summary>
public sealed class ProtocolViolation(string what) : Exception(what);
