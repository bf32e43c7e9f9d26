using TreCr.Calls;
using TreCr.Wrapper.Runtime;

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
        if (!DeviceMemory.Contains((void*)source) && !DeviceMemory.Contains((void*)inout))
        {
            op.Apply(source, inout, count, type);
            return;
        }
        using LaidOut left = new(count, type), right = new(count, type);
        Schedule.Copy(source, count, type, left.First, count, type);
        Schedule.Copy(inout, count, type, right.First, count, type);
        op.Apply(left.First, right.First, count, type);
        Schedule.Copy(right.First, count, type, inout, count, type);
    }
}
