using System.Diagnostics.CodeAnalysis;
using TreCr.Linux;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>Ends of the program that MPI prescribes or that a defect of ours forces.</summary>
internal static class Fatal
{
    /// <summary>Something is impossible: our defect, said by name.</summary>
    [DoesNotReturn]
    public static void Stop(string what)
    {
        StandardError.Write("trecr: MPI: "u8, what);
        Environment.Exit(134);
        throw new InvalidOperationException();
    }
}
