using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace TreCr.Api.Tests;

/// <summary>Ranks that are threads of this process.</summary>
internal sealed class ThreadGroup(ThreadGroup.Meeting meeting, int rank) : IRankMessages
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

    public byte[][] Gather(ReadOnlySpan<byte> own)
    {
        meeting.Given[rank] = own.ToArray();
        meeting.Barrier.SignalAndWait();
        byte[][] all = [.. meeting.Given];
        meeting.Barrier.SignalAndWait();
        return all;
    }

    public void StartSend(int to, nint address, int bytes)
    {
        byte[] copy = new byte[bytes];
        Marshal.Copy(address, copy, 0, bytes);
        meeting.Messages[rank, to].Add(copy);
    }

    public void Receive(int from, nint address, int bytes)
    {
        byte[] message = meeting.Messages[from, rank].Take();
        if (message.Length != bytes) throw new InvalidOperationException($"a message of {message.Length} bytes, and {bytes} were awaited");
        Marshal.Copy(message, 0, address, bytes);
    }

    public void WaitSent() { }

    public void Dispose() { }

    /// <summary>Runs all ranks, and gives what each came to.</summary>
    public static T[] Run<T>(CheckpointSettings settings, int ranks, Func<ProgramCheckpoints, int, T> body) => Run(ranks, group =>
    {
        using ProgramCheckpoints checkpoints = new(settings, group);
        return body(checkpoints, group.Rank);
    });

    /// <inheritdoc cref="Run{T}(CheckpointSettings, int, Func{ProgramCheckpoints, int, T})"/>
    public static T[] Run<T>(int ranks, Func<ThreadGroup, T> body)
    {
        Meeting meeting = new(ranks);
        T[] results = new T[ranks];
        Exception? failed = null;
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() =>
        {
            try { results[rank] = body(new ThreadGroup(meeting, rank)); }
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

        public byte[][] Given { get; } = new byte[ranks][];

        public BlockingCollection<byte[]>[,] Messages { get; } = Boxes(ranks);

        public Barrier Barrier { get; } = new(ranks);

        private static BlockingCollection<byte[]>[,] Boxes(int ranks)
        {
            BlockingCollection<byte[]>[,] boxes = new BlockingCollection<byte[]>[ranks, ranks];
            for (int from = 0; from < ranks; from++)
                for (int to = 0; to < ranks; to++) boxes[from, to] = [];
            return boxes;
        }
    }
}
