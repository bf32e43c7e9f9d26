using System.Diagnostics;
using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>Random freezes: the gate closes at random moments, nothing may run behind it; the delegator is killed and replaced, the program never notices.</summary>
internal static unsafe class RingSoak
{
    public sealed record Result(int Freezes, int Replaced, ulong Records, ulong Callbacks, TimeSpan LongestGate);

    /// <param name="processes">true: the delegator is a process of its own and is killed with SIGKILL</param>
    /// <exception cref="InvalidOperationException">a violation, named</exception>
    public static Result Run(int freezes, int seed, bool processes)
    {
        Random random = new(seed);
        (Segment segment, int segmentFd) = Segment.Create(1);
        int stateFd = Sys.MemfdCreate("model-state");
        Sys.Ftruncate(stateFd, 4096);
        ModelState* state = ModelState.Map(stateFd);
        (int connection, int other) = Sys.SocketPair();
        IModelPeer peer = Start(segment, segmentFd, state, stateFd, processes);
        int replaced = 0;
        TimeSpan longest = default;
        try
        {
            using ModelProgram program = new(segment, state, connection, seed);
            for (int i = 0; i < freezes; i++)
            {
                // 0 to 300 µs of freedom between freezes, sometimes long enough for everyone to fall asleep.
                long until = Stopwatch.GetTimestamp() + random.Next(0, 300) * Stopwatch.Frequency / 1_000_000;
                while (Stopwatch.GetTimestamp() < until) Thread.Yield();
                if (random.Next(100) == 0) Thread.Yield();
                long start = Stopwatch.GetTimestamp();
                if (!peer.Close(out string? blocker)) throw new InvalidOperationException($"freeze {i} (seed {seed}): {blocker} did not end");
                TimeSpan gate = Stopwatch.GetElapsedTime(start);
                if (gate > longest) longest = gate;
                ModelState frozen = *state;
                Check(state, seed, i);
                if (random.Next(processes ? 20 : 3) == 0)
                {
                    peer.Kill();
                    replaced++;
                    Same(frozen, *state, seed, i);
                    peer = Start(segment, segmentFd, state, stateFd, processes);
                }
                else
                {
                    Same(frozen, *state, seed, i);
                    peer.Open();
                }
                Check(state, seed, i);
            }
            if (!program.Stop(TimeSpan.FromSeconds(60))) throw new InvalidOperationException($"seed {seed}: a thread hangs");
            if (!peer.Close(out string? last)) throw new InvalidOperationException($"seed {seed}: at the end {last} did not end");
            Check(state, seed, freezes);
            ulong issued = 0;
            for (int i = 0; i < ModelState.Threads; i++) issued += state->Issued[i];
            if (program.SessionsLost != 0) throw new InvalidOperationException($"seed {seed}: a thread lost its session");
            // Records of the last moments may stand behind the gate: open it, and everything must come through.
            peer.Open();
            if (!SpinWait.SpinUntil(() => Sum(state) == program.Published && Volatile.Read(ref state->Done) == Volatile.Read(ref state->Submitted), 60_000))
                throw new InvalidOperationException($"seed {seed}: {program.Published} records published, {Sum(state)} issued");
            if (!SpinWait.SpinUntil(() => Volatile.Read(ref program.CallbacksRun) == state->CallbacksAsked, 60_000))
                throw new InvalidOperationException($"seed {seed}: {state->CallbacksAsked} callbacks asked for, {program.CallbacksRun} run");
            return new Result(freezes, replaced, program.Published, program.CallbacksRun, longest);
        }
        finally
        {
            peer.Kill();
            Sys.Close(connection);
            Sys.Close(other);
            Sys.Close(stateFd);
            Sys.Close(segmentFd);
            segment.Unmap();
        }
    }

    private static IModelPeer Start(Segment segment, int segmentFd, ModelState* state, int stateFd, bool processes)
        => processes ? new ProcessPeer(segmentFd, stateFd) : new ThreadPeer(segment, state);

    private static ulong Sum(ModelState* state)
    {
        ulong sum = 0;
        for (int i = 0; i < ModelState.Threads; i++) sum += Volatile.Read(ref state->Issued[i]);
        return sum;
    }

    private static void Check(ModelState* state, int seed, int freeze)
    {
        if (Volatile.Read(ref state->Error) != 0)
            throw new InvalidOperationException($"seed {seed}, freeze {freeze}: {ModelState.Explain(state->Error)}: {state->ErrorA}, {state->ErrorB}");
    }

    private static void Same(ModelState a, ModelState b, int seed, int freeze)
    {
        bool same = a.Submitted == b.Submitted && a.Done == b.Done && a.Done == a.Submitted;
        for (int i = 0; i < ModelState.Threads; i++) same &= a.Issued[i] == b.Issued[i];
        if (!same) throw new InvalidOperationException($"seed {seed}, freeze {freeze}: something ran behind a closed gate");
    }
}
