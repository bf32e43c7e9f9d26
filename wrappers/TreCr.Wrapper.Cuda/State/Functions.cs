using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda;

/// <summary>What launches need to know of functions, by virtual handle. Readers take no lock and allocate nothing.</summary>
/// <remarks>
/// Open addressing in native memory, at most half full. A writer (under <see cref="Gate"/>) fills facts before the key; a grown table replaces the old one, which stays
/// allocated, as a reader may still look at it (tables double: all old ones together are no larger than the newest).
/// </remarks>
internal static unsafe class Functions
{
    private struct Entry
    {
        public ulong Handle;
        public FunctionFacts* Facts;
    }

    private struct Table
    {
        public uint Mask;
        public Entry* Entries;
    }

    private static readonly Lock Gate = new();
    private static readonly Dictionary<(ulong Module, string Name), ulong> ByName = [];
    private static readonly Dictionary<ulong, ulong> ModuleContext = [];
    private static Table* s_table;
    private static int s_used;

    /// <summary>Facts of a function; null: no such function now.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FunctionFacts* Find(CUfunction function)
    {
        Table* table = s_table;
        if (table == null) return null;
        for (uint at = Hash(function.Value); ; at++)
        {
            Entry* entry = table->Entries + (at & table->Mask);
            ulong handle = Volatile.Read(ref entry->Handle);
            if (handle == function.Value) return entry->Facts;
            if (handle == 0) return null;
        }
    }

    /// <summary>A function that was asked for before.</summary>
    public static bool TryFind(ulong module, string name, out ulong function)
    {
        lock (Gate) return ByName.TryGetValue((module, name), out function);
    }

    /// <summary>Module of a function; 0: no such function.</summary>
    public static ulong ModuleOf(ulong function)
    {
        lock (Gate) return ByName.FirstOrDefault(f => f.Value == function).Key.Module;
    }

    public static void AddModule(ulong module, ulong context)
    {
        lock (Gate) ModuleContext[module] = context;
    }

    public static void Add(ulong module, string name, ulong function, in FunctionFacts facts)
    {
        lock (Gate)
        {
            ByName[(module, name)] = function;
            if (Find(new CUfunction(function)) != null) return;
            FunctionFacts* copy = (FunctionFacts*)NativeMemory.Alloc((nuint)sizeof(FunctionFacts));
            *copy = facts;
            if (s_table == null || 2 * (s_used + 1) > s_table->Mask) Grow();
            Put(s_table, function, copy);
            s_used++;
        }
    }

    public static void ForgetModule(ulong module)
    {
        lock (Gate) Forget(module);
    }

    public static void ForgetContext(ulong context)
    {
        lock (Gate)
            foreach (ulong module in ModuleContext.Where(m => m.Value == context).Select(m => m.Key).ToArray()) Forget(module);
    }

    private static void Forget(ulong module)
    {
        ModuleContext.Remove(module);
        foreach (KeyValuePair<(ulong Module, string Name), ulong> known in ByName.Where(f => f.Key.Module == module).ToArray())
        {
            ByName.Remove(known.Key);
            // The key stays, so that chains stay whole; the facts are not freed, as another thread may be in a launch with them.
            for (uint at = Hash(known.Value); ; at++)
            {
                Entry* entry = s_table->Entries + (at & s_table->Mask);
                if (entry->Handle == known.Value) entry->Facts = null;
                if (entry->Handle == known.Value || entry->Handle == 0) break;
            }
        }
    }

    private static void Grow()
    {
        Table* old = s_table;
        uint size = old == null ? 256 : (old->Mask + 1) * 2;
        Table* table = (Table*)NativeMemory.Alloc((nuint)sizeof(Table));
        table->Mask = size - 1;
        table->Entries = (Entry*)NativeMemory.AllocZeroed(size, (nuint)sizeof(Entry));
        s_used = 0;
        for (uint i = 0; old != null && i <= old->Mask; i++)
            if (old->Entries[i].Handle != 0 && old->Entries[i].Facts != null)
            {
                Put(table, old->Entries[i].Handle, old->Entries[i].Facts);
                s_used++;
            }
        Volatile.Write(ref *(nint*)AddressOf(ref s_table), (nint)table);
    }

    private static Table** AddressOf(ref Table* field)
    {
        fixed (Table** p = &field) return p;
    }

    private static void Put(Table* table, ulong handle, FunctionFacts* facts)
    {
        for (uint at = Hash(handle); ; at++)
        {
            Entry* entry = table->Entries + (at & table->Mask);
            if (entry->Handle != 0) continue;
            entry->Facts = facts;
            Volatile.Write(ref entry->Handle, handle);
            return;
        }
    }

    // Serials are counted, so that their low bits alone spread well.
    private static uint Hash(ulong handle) => (uint)handle * 2654435769u >> 7 ^ (uint)handle;
}
