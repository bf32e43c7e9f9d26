using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Mpi;

/// <summary>A key for values that a program attaches to communicators, datatypes or windows.</summary>
internal sealed unsafe class Keyval
{
    private static readonly Dictionary<int, Keyval> s_made = [];
    private static int s_next = 0x2000; // above the predefined keys of both headers, below those of MPICH

    public required nint Copy { get; init; }
    public required nint Delete { get; init; }
    public required nint ExtraState { get; init; }
    public int Number { get; private init; }

    /// <summary>How the functions are called.</summary>
    public KeyvalCalls Calls { get; init; }

    /// <summary>Functions of MPICH's Fortran library that call those of the program; 0: they are called directly.</summary>
    public nint CopyProxy { get; set; }

    /// <inheritdoc cref="CopyProxy"/>
    public nint DeleteProxy { get; set; }

    public static int Create(nint copy, nint delete, nint extraState, KeyvalCalls calls = KeyvalCalls.C)
    {
        int number = s_next++;
        s_made[number] = new Keyval { Copy = copy, Delete = delete, ExtraState = extraState, Number = number, Calls = calls };
        return number;
    }

    public static Keyval Of(int number) => s_made.TryGetValue(number, out Keyval? keyval) ? keyval : throw new MpiException(ErrorClass.Keyval, $"{number} is no key");

    /// <summary>The key stays until no attribute has it.</summary>
    public static void Free(int number)
    {
        if (!s_made.Remove(number)) throw new MpiException(ErrorClass.Keyval, $"{number} is no key");
    }
}

/// <summary>Whose conventions a key's functions have: C's, or Fortran's with default integers (MPI-1) or with address integers.</summary>
internal enum KeyvalCalls { C, FortranInt, FortranAint }

/// <summary>What an attribute was set to: a pointer (C), or an integer of Fortran, of which C gets the address. Numbers: MPICH's MPIR_Attr_type.</summary>
internal enum AttributeKind { Pointer = 0, Aint = 1, Int = 3 }

/// <summary>Attributes of one object. Copy and delete functions run here, in the program.</summary>
internal sealed unsafe class AttributeTable
{
    private readonly Dictionary<int, Attribute> _values = [];

    private sealed record Attribute(Keyval Key, nint Value, AttributeKind Kind)
    {
        /// <summary>Where C finds an integer that Fortran has set.</summary>
        public nint Place { get; } = Kind == AttributeKind.Pointer ? 0 : Store(Value);

        private static nint Store(nint value)
        {
            nint place = (nint)NativeMemory.Alloc((nuint)sizeof(nint));
            *(nint*)place = value;
            return place;
        }
    }

    /// <summary>As C gets it.</summary>
    public bool TryGet(int key, out nint value)
    {
        bool found = _values.TryGetValue(key, out Attribute? entry);
        value = entry is null ? 0 : entry.Kind == AttributeKind.Pointer ? entry.Value : entry.Place;
        return found;
    }

    /// <summary>As Fortran gets it: an integer, whatever it was set to.</summary>
    public bool TryGetNumber(int key, out nint value)
    {
        bool found = _values.TryGetValue(key, out Attribute? entry);
        value = entry?.Value ?? 0;
        return found;
    }

    public void Set(MpiObject owner, int key, nint value, AttributeKind kind = AttributeKind.Pointer)
    {
        Keyval keyval = Keyval.Of(key);
        if (_values.ContainsKey(key)) Delete(owner, key);
        _values[key] = new Attribute(keyval, value, kind);
    }

    public void Delete(MpiObject owner, int key)
    {
        if (!_values.TryGetValue(key, out Attribute? entry)) throw new MpiException(ErrorClass.Keyval, $"no attribute with key {key}");
        CallDelete(owner, entry);
        Remove(entry);
    }

    private void Remove(Attribute entry)
    {
        _values.Remove(entry.Key.Number);
        NativeMemory.Free((void*)entry.Place);
    }

    /// <summary>The object is freed.</summary>
    public void DeleteAll(MpiObject owner)
    {
        foreach (Attribute entry in _values.Values.ToArray().AsEnumerable().Reverse())
        {
            CallDelete(owner, entry);
            Remove(entry);
        }
    }

    /// <summary>The object is duplicated: each key's copy function says whether the copy has it.</summary>
    public void CopyTo(MpiObject owner, AttributeTable copy)
    {
        foreach (Attribute entry in _values.Values.ToArray())
        {
            if (entry.Key.Copy == 0) continue;
            int error = CallCopy(owner, entry, out nint result, out bool isCopied);
            if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "an attribute's copy function failed");
            if (isCopied) copy._values[entry.Key.Number] = new Attribute(entry.Key, result, entry.Kind);
        }
    }

    private static int CallCopy(MpiObject owner, Attribute entry, out nint result, out bool isCopied)
    {
        Keyval key = entry.Key;
        nint made = 0;
        int flag = 0, error = 0;
        if (key.CopyProxy != 0) error = ((delegate* unmanaged[Cdecl]<nint, int, int, nint, int, nint, nint*, int*, int>)key.CopyProxy)(key.Copy, (int)owner.Handle, key.Number, key.ExtraState, (int)entry.Kind, entry.Value, &made, &flag);
        else if (key.Calls == KeyvalCalls.C) error = ((delegate* unmanaged[Cdecl]<nint, int, nint, nint, nint*, int*, int>)key.Copy)(owner.Handle, key.Number, key.ExtraState, entry.Kind == AttributeKind.Pointer ? entry.Value : entry.Place, &made, &flag);
        else
        {
            // Integers are as long as the convention says; ours have room for both.
            int handle = FortranHandles.ToFortran(owner), number = key.Number;
            nint extra = key.ExtraState, value = entry.Value;
            ((delegate* unmanaged[Cdecl]<int*, int*, nint*, nint*, nint*, int*, int*, void>)key.Copy)(&handle, &number, &extra, &value, &made, &flag, &error);
            if (key.Calls == KeyvalCalls.FortranInt) made = (int)made;
        }
        (result, isCopied) = (made, flag != 0);
        return error;
    }

    private static void CallDelete(MpiObject owner, Attribute entry)
    {
        Keyval key = entry.Key;
        if (key.Delete == 0) return;
        int error = 0;
        if (key.DeleteProxy != 0) error = ((delegate* unmanaged[Cdecl]<nint, int, int, int, nint, nint, int>)key.DeleteProxy)(key.Delete, (int)owner.Handle, key.Number, (int)entry.Kind, entry.Value, key.ExtraState);
        else if (key.Calls == KeyvalCalls.C) error = ((delegate* unmanaged[Cdecl]<nint, int, nint, nint, int>)key.Delete)(owner.Handle, key.Number, entry.Kind == AttributeKind.Pointer ? entry.Value : entry.Place, key.ExtraState);
        else
        {
            int handle = FortranHandles.ToFortran(owner), number = key.Number;
            nint extra = key.ExtraState, value = entry.Value;
            ((delegate* unmanaged[Cdecl]<int*, int*, nint*, nint*, int*, void>)key.Delete)(&handle, &number, &value, &extra, &error);
        }
        if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "an attribute's delete function failed");
    }
}
