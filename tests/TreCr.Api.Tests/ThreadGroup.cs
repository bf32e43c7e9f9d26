namespace TreCr.Api.Tests;

/// <summary>Ranks that are threads of this process.</summary>
internal sealed class ThreadGroup(ThreadGroup.Meeting meeting, int rank) : IRankGroup
{
    public int Rank => rank;

    public int Count => meeting.Values.Length;

    public int Smallest(int value)
    {
        meeting.Values[rank] = value;
        meeting.Barrier.SignalAndWait();
        int smallest = meeting.Values.Min();
        meeting.Barrier.SignalAndWait();
        return smallest;
    }

    public void Dispose() { }

    /// <summary>Runs all ranks, and gives what each came to.</summary>
    public static T[] Run<T>(CheckpointSettings settings, int ranks, Func<ProgramCheckpoints, int, T> body)
    {
        Meeting meeting = new(ranks);
        T[] results = new T[ranks];
        Exception? failed = null;
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() =>
        {
            try
            {
                using ProgramCheckpoints checkpoints = new(settings, new ThreadGroup(meeting, rank));
                results[rank] = body(checkpoints, rank);
            }
            catch (Exception e)
            {
                failed = e;
                meeting.Barrier.RemoveParticipant();
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        return failed is null ? results : throw new AggregateException(failed);
    }

    internal sealed class Meeting(int ranks)
    {
        public int[] Values { get; } = new int[ranks];

        public Barrier Barrier { get; } = new(ranks);
    }
}
