using System.Runtime.InteropServices;
using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 §6.7: values attached to communicators and datatypes. Copy and delete functions run in the program.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class AttributeCalls
{
    private static readonly int* s_predefined = (int*)NativeMemory.AllocZeroed(8, 4);

    private static int InvalidKey => MpiAbi.IsMpich ? 0x24000000 : -1;

    public static void MPI_Comm_create_keyval(nint copy, nint delete, int* key, nint extraState) => *key = Keyval.Create(copy, delete, extraState);
    public static void MPI_Keyval_create(nint copy, nint delete, int* key, nint extraState) => *key = Keyval.Create(copy, delete, extraState);
    public static void MPI_Type_create_keyval(nint copy, nint delete, int* key, nint extraState) => *key = Keyval.Create(copy, delete, extraState);


    public static void MPI_Comm_free_keyval(int* key)
    {
        Keyval.Free(*key);
        *key = InvalidKey;
    }

    public static void MPI_Keyval_free(int* key) => MPI_Comm_free_keyval(key);
    public static void MPI_Type_free_keyval(int* key) => MPI_Comm_free_keyval(key);

    public static void MPI_Comm_set_attr(Comm comm, int key, nint value) => comm.Attributes.Set(comm, key, value);
    public static void MPI_Attr_put(Comm comm, int key, nint value) => comm.Attributes.Set(comm, key, value);
    public static void MPI_Type_set_attr(Datatype type, int key, nint value) => type.Attributes.Set(type, key, value);

    public static void MPI_Comm_delete_attr(Comm comm, int key) => comm.Attributes.Delete(comm, key);
    public static void MPI_Attr_delete(Comm comm, int key) => comm.Attributes.Delete(comm, key);
    public static void MPI_Type_delete_attr(Datatype type, int key) => type.Attributes.Delete(type, key);

    public static void MPI_Comm_get_attr(Comm comm, int key, nint* value, int* flag)
    {
        *flag = 1;
        if (comm.Attributes.TryGet(key, out *value)) return;
        if (Predefined(comm, key) is { } known)
        {
            s_predefined[known.Index] = known.Value;
            *value = (nint)(s_predefined + known.Index);
            return;
        }
        *flag = 0;
    }

    /// <summary>As Fortran gets it.</summary>
    internal static bool TryGetNumber(Comm comm, int key, out nint value)
    {
        if (comm.Attributes.TryGetNumber(key, out value)) return true;
        if (Predefined(comm, key) is not { } known) return false;
        value = known.Value;
        return true;
    }

    /// <summary>Attributes of MPI_COMM_WORLD.</summary>
    /// <returns>null: it has none with this key, or not this object</returns>
    /// <exception cref="MpiException">no such key</exception>
    private static (int Index, int Value)? Predefined(Comm comm, int key)
    {
        (int Index, int Value)? known = MpiAbi.IsMpich ? (uint)MpiAbi.KeyOfC(key) switch
        {
            0x64400001 => (0, MpiAbi.TagUpperBound), 0x64400003 => (1, MpiAbi.RankOut(MpiAbi.ProcNull)), 0x64400005 => (2, MpiAbi.RankOut(MpiAbi.AnySource)), 0x64400007 => (3, 0), 0x64400009 => (4, Rankings.Size),
            0x6440000b => (5, UserErrors.LastUsed), 0x6440000d => (6, 0), _ => null,
        } : key switch
        {
            0 => (0, MpiAbi.TagUpperBound), 1 => (1, MpiAbi.ProcNull), 2 => (2, MpiAbi.AnySource), 3 => (3, 0), 4 => (6, 0), 5 => (5, UserErrors.LastUsed), 6 => (4, Rankings.Size), _ => null,
        };
        if (known is null) Keyval.Of(key);
        return comm == Comm.World ? known : null;
    }

    public static void MPI_Attr_get(Comm comm, int key, nint* value, int* flag) => MPI_Comm_get_attr(comm, key, value, flag);

    public static void MPI_Type_get_attr(Datatype type, int key, nint* value, int* flag)
    {
        Keyval.Of(key);
        *flag = type.Attributes.TryGet(key, out *value) ? 1 : 0;
    }
}
