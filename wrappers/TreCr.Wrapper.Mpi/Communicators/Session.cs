namespace TreCr.Wrapper.Mpi;

/// <summary>A session: a use of the library by a part of the program that knows of no other part. Source: MPI-4.0 §11.3.</summary>
internal sealed class Session : ErrorOwner
{
    /// <summary>Sets of processes that there are, by name.</summary>
    public static readonly string[] ProcessSets = ["mpi://WORLD", "mpi://SELF"];

    public const string ThreadLevelKey = "thread_level", Multiple = "MPI_THREAD_MULTIPLE";

    /// <summary>As it was asked for: every level can be given.</summary>
    public required string ThreadLevel { get; init; }

    public static Session From(nint raw) => Handles.Get<Session>(raw, ErrorClass.Session);

    public static void Define() => Handles.PredefineNull<Session>("ompi_mpi_instance_null", 0x38000000);

    /// <summary>Members of a set.</summary>
    public static Group Members(string processSet) => processSet.ToUpperInvariant() switch
    {
        "MPI://WORLD" => new Group([.. Enumerable.Range(0, Rankings.Size)]),
        "MPI://SELF" => new Group([Rankings.World]),
        _ => throw new MpiException(ErrorClass.Arg, $"no process set {processSet}"),
    };
}
