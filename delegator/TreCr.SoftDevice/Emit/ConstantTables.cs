using System.Globalization;
using System.Runtime.InteropServices;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Tables that emitted code names by address: the page table, source lanes of warp shuffles whose operands are constants, lane numbers times a stride. They have names and, behind the page table, places that
/// follow from these, so that code kept from another process finds them; never freed.
/// </summary>
static unsafe class ConstantTables
{
    public const string Pages = "@pages";
    const int SlotBytes = 256, Slots = (int)(PageTable.TablesBytes / SlotBytes);
    static readonly Dictionary<string, ulong> Known = new() { [Pages] = (ulong)PageTable.Table };
    static readonly HashSet<ulong> Used = [];

    /// <summary>32 words: the lane that each lane reads.</summary>
    public static string Shuffle(CollectiveKind kind, uint b, uint c) => string.Create(CultureInfo.InvariantCulture, $"@shuffle {(int)kind} {b} {c}");

    /// <summary>0, stride, 2 * stride, … for 32 lanes, as words of 4 or 8 bytes.</summary>
    public static string Multiples(long stride, int bytes) => string.Create(CultureInfo.InvariantCulture, $"@multiples {stride} {bytes}");

    /// <summary>Lanes of a shuffle whose source is inside their segment.</summary>
    public static uint ValidLanes(CollectiveKind kind, uint b, uint c)
    {
        uint valid = 0;
        for (int n = 0; n < 32; n++)
            if (WarpCollectives.Source(kind, n, b, c, out _)) valid |= 1u << n;
        return valid;
    }

    /// <summary>Where the table of that name lies, made now if need be; 64-byte aligned.</summary>
    /// <exception cref="FormatException">Nothing has that name.</exception>
    public static ulong Of(string name)
    {
        lock (Known)
        {
            if (Known.TryGetValue(name, out ulong known)) return known;
            string[] words = name.Split(' ');
            byte* at = (byte*)Place(name);
            switch (words[0])
            {
                case "@shuffle" when words.Length == 4:
                    for (int n = 0; n < 32; n++) WarpCollectives.Source((CollectiveKind)Number(words[1]), n, (uint)Number(words[2]), (uint)Number(words[3]), out ((int*)at)[n]);
                    break;
                case "@multiples" when words.Length == 3:
                    long stride = Number(words[1]);
                    for (int n = 0; n < 32; n++)
                        if (Number(words[2]) == 8) ((long*)at)[n] = n * stride;
                        else ((int*)at)[n] = (int)(n * stride);
                    break;
                default: throw new FormatException($"no table {name}");
            }
            return Known[name] = (ulong)at;
        }
    }

    static long Number(string word) => long.Parse(word, CultureInfo.InvariantCulture);

    /// <summary>A slot that follows from the name as long as no other name had it first.</summary>
    static ulong Place(string name)
    {
        uint hash = 2166136261; // FNV-1a
        foreach (char c in name) hash = (hash ^ c) * 16777619;
        for (uint n = 0; n < 64; n++)
        {
            ulong at = (ulong)PageTable.Tables + (hash + n) % Slots * SlotBytes;
            if (Used.Add(at)) return at;
        }
        return (ulong)NativeMemory.AlignedAlloc(SlotBytes, 64);
    }
}
