using TreCr.Mpi.Tests;
using TreCr.Ring;

namespace TreCr.Backend.Mpi;

/// <summary>In the place of the delegator's own.</summary>
internal static class Seeded
{
    public static bool Is(ProtocolBug bug) => bug == Mistake.Active;
}
