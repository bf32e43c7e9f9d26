using System.Numerics;

namespace TreCr.SoftDevice.Engine;

/// <summary>Carries out one warp collective for the lanes that have come.</summary>
static unsafe class WarpCollectives
{
    /// <param name="slots">slots of the warp's 32 lanes</param><param name="lanes">who takes part; all have the same kind</param>
    public static void Run(ThreadSlot* slots, uint lanes, CollectiveKind kind)
    {
        switch (kind)
        {
            case CollectiveKind.WarpSync: return;
            case CollectiveKind.ShflUp or CollectiveKind.ShflDown or CollectiveKind.ShflBfly or CollectiveKind.ShflIdx:
                for (uint left = lanes; left != 0; left &= left - 1)
                    Shuffle(slots, lanes, kind, BitOperations.TrailingZeroCount(left));
                return;
            case CollectiveKind.MatchAny or CollectiveKind.MatchAll:
                Match(slots, lanes, kind == CollectiveKind.MatchAll);
                return;
        }
        uint ballot = 0;
        ulong result = slots[BitOperations.TrailingZeroCount(lanes)].Value;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            ulong v = slots[lane].Value;
            if (v != 0) ballot |= 1u << lane;
            if (left == lanes) continue;
            uint a = (uint)result, b = (uint)v;
            result = kind switch
            {
                CollectiveKind.ReduxAdd => a + b, CollectiveKind.ReduxAnd => a & b, CollectiveKind.ReduxOr => a | b, CollectiveKind.ReduxXor => a ^ b,
                CollectiveKind.ReduxMinU => Math.Min(a, b), CollectiveKind.ReduxMaxU => Math.Max(a, b),
                CollectiveKind.ReduxMinS => (uint)Math.Min((int)a, (int)b), CollectiveKind.ReduxMaxS => (uint)Math.Max((int)a, (int)b), _ => result,
            };
        }
        int flag = kind switch { CollectiveKind.VoteAll => ballot == lanes, CollectiveKind.VoteAny => ballot != 0, CollectiveKind.VoteUni => ballot == 0 || ballot == lanes, _ => false } ? 1 : 0;
        if (kind == CollectiveKind.Ballot) result = ballot;
        else if (kind == CollectiveKind.ActiveMask) result = lanes;
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            slots[lane].Result = result;
            slots[lane].Flag = flag;
        }
    }

    // PTX ISA, shfl.sync: c = segment mask << 8 | clamp.
    static void Shuffle(ThreadSlot* slots, uint lanes, CollectiveKind kind, int lane)
    {
        ThreadSlot* s = slots + lane;
        bool valid = Source(kind, lane, s->A, s->B, out int j);
        // A lane that does not take part has no defined value: give the reader its own.
        s->Result = (lanes >> j & 1) != 0 ? slots[j].Value : s->Value;
        s->Flag = valid ? 1 : 0;
    }

    /// <summary>The lane that a lane reads in a shuffle; itself, and false, where that is outside of its segment.</summary>
    public static bool Source(CollectiveKind kind, int lane, uint b, uint c, out int source)
    {
        int clamp = (int)(c & 31), segment = (int)(c >> 8 & 31), by = (int)(b & 31);
        int max = lane & segment | clamp & ~segment, min = lane & segment;
        source = kind switch { CollectiveKind.ShflUp => lane - by, CollectiveKind.ShflDown => lane + by, CollectiveKind.ShflBfly => lane ^ by, _ => min | by & ~segment };
        bool valid = kind == CollectiveKind.ShflUp ? source >= max : source <= max;
        if (!valid) source = lane;
        return valid;
    }

    static void Match(ThreadSlot* slots, uint lanes, bool all)
    {
        for (uint left = lanes; left != 0; left &= left - 1)
        {
            int lane = BitOperations.TrailingZeroCount(left);
            uint same = 0;
            for (uint others = lanes; others != 0; others &= others - 1)
            {
                int other = BitOperations.TrailingZeroCount(others);
                if (slots[other].Value == slots[lane].Value) same |= 1u << other;
            }
            slots[lane].Flag = same == lanes ? 1 : 0;
            slots[lane].Result = all && same != lanes ? 0 : same;
        }
    }
}
