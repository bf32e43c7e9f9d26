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

    public static int Create(nint copy, nint delete, nint extraState)
    {
        int number = s_next++;
        s_made[number] = new Keyval { Copy = copy, Delete = delete, ExtraState = extraState, Number = number };
        return number;
    }

    public static Keyval Of(int number) => s_made.TryGetValue(number, out Keyval? keyval) ? keyval : throw new MpiException(ErrorClass.Keyval, $"{number} is no key");

    /// <summary>The key stays until no attribute has it.</summary>
    public static void Free(int number)
    {
        if (!s_made.Remove(number)) throw new MpiException(ErrorClass.Keyval, $"{number} is no key");
    }
}

/// <summary>Attributes of one object. Copy and delete functions run here, in the program.</summary>
internal sealed unsafe class AttributeTable
{
    private readonly Dictionary<int, (Keyval Key, nint Value)> _values = [];

    public bool TryGet(int key, out nint value)
    {
        bool found = _values.TryGetValue(key, out var entry);
        value = entry.Value;
        return found;
    }

    public void Set(MpiObject owner, int key, nint value)
    {
        Keyval keyval = Keyval.Of(key);
        if (_values.ContainsKey(key)) Delete(owner, key);
        _values[key] = (keyval, value);
    }

    public void Delete(MpiObject owner, int key)
    {
        if (!_values.TryGetValue(key, out var entry)) throw new MpiException(ErrorClass.Keyval, $"no attribute with key {key}");
        CallDelete(owner, entry.Key, entry.Value);
        _values.Remove(key);
    }

    /// <summary>The object is freed.</summary>
    public void DeleteAll(MpiObject owner)
    {
        foreach (var (key, value) in _values.Values.ToArray().AsEnumerable().Reverse())
        {
            CallDelete(owner, key, value);
            _values.Remove(key.Number);
        }
    }

    /// <summary>The object is duplicated: each key's copy function says whether the copy has it.</summary>
    public void CopyTo(MpiObject owner, AttributeTable copy)
    {
        foreach (var (key, value) in _values.Values.ToArray())
        {
            if (key.Copy == 0) continue;
            nint result = 0;
            int flag = 0;
            int error = ((delegate* unmanaged[Cdecl]<nint, int, nint, nint, nint*, int*, int>)key.Copy)(owner.Handle, key.Number, key.ExtraState, value, &result, &flag);
            if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "an attribute's copy function failed");
            if (flag != 0) copy._values[key.Number] = (key, result);
        }
    }

    private static void CallDelete(MpiObject owner, Keyval key, nint value)
    {
        if (key.Delete == 0) return;
        int error = ((delegate* unmanaged[Cdecl]<nint, int, nint, nint, int>)key.Delete)(owner.Handle, key.Number, value, key.ExtraState);
        if (error != 0) throw new MpiException(MpiAbi.ErrorOf(error), "an attribute's delete function failed");
    }
}
