namespace TreCr.Wrapper.Mpi;

/// <summary>
/// Handles and what they mean. Those that a program makes are 0xC0000000 + a number, which is none of MPICH's and no address of Open MPI's; the predefined ones are
/// addresses of symbols (Open MPI) or constants (MPICH).
/// </summary>
internal static class Handles
{
    private const uint First = 0xC0000000, NumberMask = 0x3fffffff;

    private static MpiObject?[] s_objects = new MpiObject?[256];
    private static readonly Stack<int> s_free = new();
    private static readonly Dictionary<nint, MpiObject> s_predefined = [];
    private static readonly Dictionary<Type, nint> s_null = [];
    private static int s_next = 1;

    /// <summary>Gives an object a handle.</summary>
    public static nint Add(MpiObject item)
    {
        if (!s_free.TryPop(out int number))
        {
            number = s_next++;
            if (number == s_objects.Length) Array.Resize(ref s_objects, 2 * number);
        }
        s_objects[number] = item;
        return item.Handle = (nint)(First + (uint)number);
    }

    public static void Remove(MpiObject item)
    {
        if (!IsMade(item.Handle)) return;
        int number = (int)((uint)item.Handle & NumberMask);
        s_objects[number] = null;
        s_free.Push(number);
        item.Handle = 0;
    }

    /// <summary>Number of an object's handle.</summary>
    public static uint Number(MpiObject item) => (uint)item.Handle & NumberMask;

    /// <summary>The object of a number that another rank names.</summary>
    public static MpiObject? At(uint number) => number < s_objects.Length ? s_objects[number] : null;

    /// <summary>Whether the program made it, as against a predefined one.</summary>
    public static bool IsMade(nint handle) => (ulong)handle >> 30 == First >> 30;

    /// <returns>null: no object of this kind</returns>
    public static T? Find<T>(nint raw) where T : MpiObject
    {
        nint handle = MpiAbi.Handle(raw);
        if (IsMade(handle)) return At((uint)handle & NumberMask) as T;
        return s_predefined.TryGetValue(handle, out MpiObject? item) ? item as T : null;
    }

    public static T Get<T>(nint raw, ErrorClass error) where T : MpiObject => Find<T>(raw) ?? throw new MpiException(error, $"not a valid handle: {raw:x}");

    /// <summary>Declares a predefined object.</summary>
    public static void Predefine(MpiObject item, string openMpiSymbol, long mpichValue)
    {
        nint handle = MpiAbi.IsMpich ? (nint)(uint)mpichValue : MpiAbi.Symbol(openMpiSymbol);
        if (handle == 0 || s_predefined.ContainsKey(handle)) return;
        s_predefined[handle] = item;
        if (item.Handle == 0) item.Handle = handle;
    }

    /// <summary>Declares the null handle of a kind.</summary>
    public static void PredefineNull<T>(string openMpiSymbol, long mpichValue) => s_null[typeof(T)] = MpiAbi.IsMpich ? (nint)(uint)mpichValue : MpiAbi.Symbol(openMpiSymbol);

    public static nint Null<T>() => s_null[typeof(T)];

    public static bool IsNull<T>(nint raw) => MpiAbi.Handle(raw) == Null<T>();
}
