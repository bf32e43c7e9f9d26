using System.Diagnostics.CodeAnalysis;
using TreCr.Mpi.Tests;
using TreCr.Ring;

namespace TreCr.Wrapper.Mpi;

/// <summary>In the place of the wrapper's own.</summary>
internal static class Seeded
{
    public static bool Is(ProtocolBug bug) => bug == Mistake.Active;
}

/// <summary>In the place of the wrapper's own, which ends the process.</summary>
internal static class Fatal
{
    [DoesNotReturn]
    public static void Stop(string what) => throw new ProtocolViolation(what);
}
