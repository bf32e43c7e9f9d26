using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §5.9: reduction operations.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class OpCalls
{
    public static void MPI_Op_create(delegate* unmanaged[Cdecl]<void*, void*, int*, void*, void> function, int commutes, HandlePointer op)
        => op.Value = Handles.Add(new Op { Kind = OpKind.User, Function = function, IsCommutative = commutes != 0 });

    /// <summary>The function gets the number of items as an MPI_Count.</summary>
    public static void MPI_Op_create_c(delegate* unmanaged[Cdecl]<void*, void*, long*, void*, void> function, int commutes, HandlePointer op)
        => op.Value = Handles.Add(new Op { Kind = OpKind.User, LargeFunction = function, IsCommutative = commutes != 0 });

    public static void MPI_Op_free(HandlePointer op)
    {
        Op freed = Op.From(op.Value);
        if (freed.Kind != OpKind.User) throw new MpiException(ErrorClass.Op, "a predefined operation cannot be freed");
        Handles.Remove(freed);
        op.Value = Handles.Null<Op>();
    }

    public static void MPI_Op_commutative(Op op, int* commutes) => *commutes = op.IsCommutative ? 1 : 0;

    public static void MPI_Reduce_local(nint source, nint inout, Count count, Datatype type, Op op)
    {
        CollectiveCalls.Check(count, type);
        op.Apply(source, inout, count, type);
    }
}
