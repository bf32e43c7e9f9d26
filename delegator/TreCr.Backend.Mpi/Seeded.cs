using TreCr.Ring;

namespace TreCr.Backend.Mpi;

/// <summary>Tests compile this code with another class of this name, which makes one mistake.</summary>
internal static class Seeded
{
    public static bool Is(ProtocolBug bug) => false;
}
