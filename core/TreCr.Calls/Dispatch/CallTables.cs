namespace TreCr.Calls.Dispatch;

/// <summary>Facts of all calls, generated from the declarations. <c>LockText</c> is what calls.lock must hold.</summary>
public static partial class CallTables
{
    // A class of its own: static fields of a partial class are filled in an order that nobody promises.
    private static class Lookup
    {
        internal static readonly CallTraits?[][] ById = Index();
    }

    /// <summary>Facts of a call; null for a number that no call has. Does not allocate.</summary>
    public static CallTraits? Find(Library library, ushort id)
        => (uint)library < (uint)Lookup.ById.Length && id < Lookup.ById[(int)library].Length ? Lookup.ById[(int)library][id] : null;

    /// <summary>Name of a call for messages; its number where it has none.</summary>
    public static string NameOf(Library library, ushort id) => Find(library, id)?.Name ?? $"{library} call 0x{id:x4}";

    private static CallTraits?[][] Index()
    {
        CallTraits?[][] index = new CallTraits?[Enum.GetValues<Library>().Length][];
        for (int library = 0; library < index.Length; library++)
        {
            CallTraits[] own = [.. All.Where(c => (int)c.Library == library)];
            index[library] = new CallTraits?[own.Length == 0 ? 0 : own.Max(c => c.Id) + 1];
            foreach (CallTraits call in own) index[library][call.Id] = call;
        }
        return index;
    }
}
