namespace TreCr.Api.Gpi;

/// <summary>For each place, the place whose rank maps its mirror.</summary>
internal static class MirrorMap
{
    /// <param name="user">for <see cref="MirrorPolicy.User"/>: place and number of places to the mirror's place</param>
    /// <exception cref="GpiException">no such policy, or the program's function gives what is no other place</exception>
    public static ushort[] Make(MirrorPolicy policy, int count, Func<int, int, int>? user)
    {
        Func<int, int> of = policy switch
        {
            MirrorPolicy.Ring => place => (place + 1) % count,
            MirrorPolicy.RingLeft => place => (place + count - 1) % count,
            MirrorPolicy.Pairs => place => (place ^ 1) < count ? place ^ 1 : 0,
            MirrorPolicy.User when user is not null => place => user(place, count),
            MirrorPolicy.User => throw new GpiException(GpiCode.Error, "the policy is the program's, and it has given no function (gpi_cp_set_mirror)"),
            _ => throw new GpiException(GpiCode.Error, $"{(int)policy} is no policy"),
        };
        ushort[] map = new ushort[count];
        for (int place = 0; place < count; place++)
        {
            int mirror = of(place);
            if (mirror < 0 || mirror >= count || mirror == place && count > 1) throw new GpiException(GpiCode.Error, $"the mirror of place {place} of {count} cannot be at place {mirror}");
            map[place] = (ushort)mirror;
        }
        return map;
    }
}
