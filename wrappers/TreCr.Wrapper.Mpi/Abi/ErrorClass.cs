namespace TreCr.Wrapper.Mpi;

/// <summary>Error classes, in Open MPI's numbers. Source: MPI-3.1 §8.4; mpi.h of Open MPI 4.1 and MPICH 4.0.</summary>
internal enum ErrorClass
{
    Success, Buffer, Count, Type, Tag, Comm, Rank, Request, Root, Group, Op, Topology, Dims, Arg, Unknown, Truncate, Other, Intern, InStatus, Pending,
    Access, Amode, Assert, BadFile, Base, Conversion, Disp, DupDatarep, FileExists, FileInUse, File, InfoKey, InfoNoKey, InfoValue, Info, IO, Keyval, LockType, Name, NoMem,
    NotSame, NoSpace, NoSuchFile, Port, Quota, ReadOnly, RmaConflict, RmaSync, Service, Size, Spawn, UnsupportedDatarep, UnsupportedOperation, Win,
    RmaRange = 68, RmaAttach, RmaFlavor, RmaShared,

    /// <summary>MPI-4.0; Open MPI 4.1 has none: the number of Open MPI 5.</summary>
    Session = 78,
}
