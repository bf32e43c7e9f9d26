using System.Diagnostics.CodeAnalysis;
using TreCr.Ring;

namespace TreCr.Mpi.Tests
{
    /// <summary>The one mistake that the ranks of this copy of the assembly make.</summary>
    internal static class Mistake
    {
        public static ProtocolBug Active { get; set; }
    }

    /// <summary>A rank or the network has found something that cannot be.</summary>
    public sealed class ProtocolViolation(string what) : Exception(what);
}

namespace TreCr.Wrapper.Mpi
{
    internal static class Seeded
    {
        public static bool Is(ProtocolBug bug) => bug == TreCr.Mpi.Tests.Mistake.Active;
    }

    internal static class Fatal
    {
        [DoesNotReturn]
        public static void Stop(string what) => throw new TreCr.Mpi.Tests.ProtocolViolation(what);
    }
}

namespace TreCr.Backend.Mpi
{
    internal static class Seeded
    {
        public static bool Is(ProtocolBug bug) => bug == TreCr.Mpi.Tests.Mistake.Active;
    }
}
