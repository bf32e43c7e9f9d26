using System.Runtime.InteropServices;

namespace TreCr.Api.Scr;

/// <summary>Computes units of stripes: parity of a set, or what its members have lost; over messages between the members, or in one process that reaches all files.</summary>
internal static unsafe class StripeWork
{
    private const long SegmentBytes = 1 << 20;

    /// <summary>All members of the set together. Files that fail do not keep the others waiting: the messages go on, and the failure comes at the end.</summary>
    /// <param name="members">ranks</param>
    /// <returns>null: done; else what failed here</returns>
    public static string? Run(IReadOnlyList<StripeJob> jobs, long chunkBytes, int[] members, IRankMessages ranks, MemberBytes? own)
    {
        int me = Array.IndexOf(members, ranks.Rank), segment = (int)Math.Min(SegmentBytes, chunkBytes);
        string? problem = own is null ? "files could not be opened" : null;
        void Try(Action action)
        {
            if (problem is not null) return;
            try { action(); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or CheckpointException) { problem = e.Message; }
        }
        // A unit goes to several members where it is a source of several jobs: it is read once.
        Dictionary<StripeLayout.Place, nint> sent = [];
        foreach (StripeLayout.Place place in jobs.SelectMany(j => j.Sources).Where(p => p.Member == me)) sent.TryAdd(place, 0);
        int sources = jobs.Count > 0 ? jobs[0].Sources.Length : 0;
        byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, segment) * (nuint)(sent.Count + sources + 1), 64);
        try
        {
            int slot = 0;
            foreach (StripeLayout.Place place in sent.Keys.ToArray()) sent[place] = (nint)(memory + (long)segment * slot++);
            nint[] received = new nint[sources];
            for (int i = 0; i < sources; i++) received[i] = (nint)(memory + (long)segment * slot++);
            nint result = (nint)(memory + (long)segment * slot);
            nint[] from = new nint[sources];
            for (long at = 0; at < chunkBytes; at += segment)
            {
                int length = (int)Math.Min(segment, chunkBytes - at);
                foreach ((StripeLayout.Place place, nint buffer) in sent) Try(() => own!.Read(place, at, new Span<byte>((void*)buffer, length)));
                foreach (StripeJob job in jobs)
                    foreach (StripeLayout.Place place in job.Sources)
                        if (place.Member == me && job.Target.Member != me) ranks.StartSend(members[job.Target.Member], sent[place], length);
                foreach (StripeJob job in jobs)
                {
                    if (job.Target.Member != me) continue;
                    for (int i = 0; i < sources; i++)
                    {
                        StripeLayout.Place place = job.Sources[i];
                        from[i] = place.Member == me ? sent[place] : received[i];
                        if (place.Member != me) ranks.Receive(members[place.Member], from[i], length);
                    }
                    job.Recipe.Apply(from, [result], length);
                    Try(() => own!.Write(job.Target, at, new ReadOnlySpan<byte>((void*)result, length)));
                }
                ranks.WaitSent();
            }
        }
        finally { NativeMemory.AlignedFree(memory); }
        return problem;
    }

    /// <summary>One process that reaches the files of all members.</summary>
    /// <param name="members">null where neither files nor parity are asked for</param>
    /// <exception cref="CheckpointException">a file is shorter than it was</exception>
    public static void RunAlone(IReadOnlyList<StripeJob> jobs, long chunkBytes, MemberBytes?[] members)
    {
        int segment = (int)Math.Min(SegmentBytes, chunkBytes), sources = jobs.Count > 0 ? jobs[0].Sources.Length : 0;
        byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(1, segment) * (nuint)(sources + 1), 64);
        try
        {
            nint[] from = new nint[sources];
            for (int i = 0; i < sources; i++) from[i] = (nint)(memory + (long)segment * i);
            nint result = (nint)(memory + (long)segment * sources);
            for (long at = 0; at < chunkBytes; at += segment)
            {
                int length = (int)Math.Min(segment, chunkBytes - at);
                foreach (StripeJob job in jobs)
                {
                    for (int i = 0; i < sources; i++) members[job.Sources[i].Member]!.Read(job.Sources[i], at, new Span<byte>((void*)from[i], length));
                    job.Recipe.Apply(from, [result], length);
                    members[job.Target.Member]!.Write(job.Target, at, new ReadOnlySpan<byte>((void*)result, length));
                }
            }
        }
        finally { NativeMemory.AlignedFree(memory); }
    }
}
