namespace TreCr.Wrapper.Mpi;

/// <summary>A reduction: predefined, or a function of the program.</summary>
internal sealed unsafe class Op : MpiObject
{
    public required OpKind Kind { get; init; }
    public bool IsCommutative { get; init; } = true;

    /// <summary>void f(void* in, void* inout, int* count, MPI_Datatype* type).</summary>
    public delegate* unmanaged[Cdecl]<void*, void*, int*, void*, void> Function { get; init; }

    /// <summary>The function takes a datatype as Fortran has it.</summary>
    public bool IsFortran { get; init; }

    /// <summary>The same with MPI_Count* count; of MPI_Op_create_c.</summary>
    public delegate* unmanaged[Cdecl]<void*, void*, long*, void*, void> LargeFunction { get; init; }

    public static Op From(nint raw) => Handles.Get<Op>(raw, ErrorClass.Op);

    public static void Define()
    {
        Handles.PredefineNull<Op>("ompi_mpi_op_null", 0x18000000);
        OpKind[] inMpichsOrder = [OpKind.Max, OpKind.Min, OpKind.Sum, OpKind.Prod, OpKind.Land, OpKind.Band, OpKind.Lor, OpKind.Bor, OpKind.Lxor, OpKind.Bxor, OpKind.Minloc, OpKind.Maxloc, OpKind.Replace, OpKind.NoOp];
        for (int i = 0; i < inMpichsOrder.Length; i++)
        {
            OpKind kind = inMpichsOrder[i];
            Handles.Predefine(new Op { Kind = kind }, "ompi_mpi_op_" + (kind == OpKind.NoOp ? "no_op" : kind.ToString().ToLowerInvariant()), 0x58000001 + i);
        }
    }

    /// <summary>inout[i] = in[i] op inout[i].</summary>
    /// <exception cref="MpiException">the operation is not defined for the type</exception>
    public void Apply(nint input, nint inout, long count, Datatype type)
    {
        if (Kind == OpKind.User)
        {
            CallUser(input, inout, count, type);
            return;
        }
        if (!Reduction.Run(Kind, type, (byte*)input, (byte*)inout, count)) throw new MpiException(ErrorClass.Op, $"{Kind} is not defined for the datatype {(type.Name.Length > 0 ? type.Name : "of the program")}");
    }

    private void CallUser(nint input, nint inout, long count, Datatype type)
    {
        // The program may have freed the datatype of a call that is under way.
        bool isFreed = type.Handle == 0;
        nint handle = isFreed ? Handles.Add(type) : type.Handle;
        if (IsFortran) handle = FortranHandles.ToFortran<Datatype>(handle);
        if (LargeFunction != null) LargeFunction((void*)input, (void*)inout, &count, &handle);
        else
        {
            const long Most = int.MaxValue;
            for (long done = 0; done < count; done += Most)
            {
                int n = (int)Math.Min(Most, count - done);
                Function((void*)(input + done * type.Extent), (void*)(inout + done * type.Extent), &n, &handle);
            }
        }
        if (isFreed) Handles.Remove(type);
    }
}

internal enum OpKind { User, Max, Min, Sum, Prod, Land, Band, Lor, Bor, Lxor, Bxor, Minloc, Maxloc, Replace, NoOp }
