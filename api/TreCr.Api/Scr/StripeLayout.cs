using TreCr.Store.Tiers;

namespace TreCr.Api.Scr;

/// <summary>
/// How the files of a set's members are cut: as many stripes as members, each with units of data and of parity on different members. XOR and RS: each stripe has a unit of every member, k of them parity,
/// which moves on by one member from stripe to stripe; so a member has N - k chunks of data and k of parity. PARTNER: a stripe is one member's data, whole, and a copy with the next.
/// </summary>
/// <remarks>Part of the format.</remarks>
public readonly record struct StripeLayout(CopyType Type, int Members, int Parity)
{
    /// <summary>Where a unit is: chunk 0, 1, … of a member's files in a row, or of its parity.</summary>
    public readonly record struct Place(int Member, bool IsParity, int Chunk);

    /// <summary>Units of data in a stripe, which is also the number of chunks that a member's files are cut into.</summary>
    public int Data => Type == CopyType.Partner ? 1 : Members - Parity;

    public ErasureCode Code => new(Data, Parity);

    /// <summary>Length of a unit for files of so many bytes at most.</summary>
    public long ChunkBytes(long bytes) => (bytes + Data - 1) / Data;

    /// <param name="unit">data 0 … Data-1, parity Data … Data+Parity-1</param>
    public Place Of(int stripe, int unit)
    {
        bool isParity = unit >= Data;
        if (Type == CopyType.Partner) return isParity ? new((stripe + 1) % Members, true, 0) : new(stripe, false, 0);
        return isParity ? new((stripe + unit - Data) % Members, true, unit - Data) : new((stripe + Parity + unit) % Members, false, unit);
    }

    /// <summary>What has to be computed to bring units back, each from units that are there.</summary>
    /// <param name="isLost">whether a unit is lost</param>
    /// <returns>null: too many are</returns>
    public IReadOnlyList<StripeJob>? Repair(Func<Place, bool> isLost)
    {
        List<StripeJob> jobs = [];
        for (int stripe = 0; stripe < Members; stripe++)
        {
            List<int> present = [], lost = [];
            for (int unit = 0; unit < Data + Parity; unit++) (isLost(Of(stripe, unit)) ? lost : present).Add(unit);
            if (lost.Count == 0) continue;
            if (present.Count < Data) return null;
            int[] sources = [.. present.Take(Data)];
            foreach (int unit in lost)
            {
                Place[] places = new Place[sources.Length];
                for (int i = 0; i < sources.Length; i++) places[i] = Of(stripe, sources[i]);
                jobs.Add(new(Of(stripe, unit), places, Code.Rebuild(sources, [unit])));
            }
        }
        return jobs;
    }

    /// <summary>What has to be computed for parity that was never there.</summary>
    public IReadOnlyList<StripeJob> Encode() => Repair(p => p.IsParity)!;
}
