using NUnit.Framework;
using TreCr.Calls.Cuda;
using TreCr.PropertyTesting;

namespace TreCr.Gmmu.Tests;

/// <summary>Memory freed in streams: nobody else gets it before the free was reached, under any order of frees, requests and progress of the streams.</summary>
public sealed unsafe class StreamPoolPropertyTests
{
    /// <summary>Streams whose work ends when the test says so.</summary>
    private sealed class Events : ICudaEvent
    {
        private readonly Dictionary<ulong, (ulong Stream, int At)> _recorded = [];
        private ulong _next;

        /// <summary>Of each stream: frees recorded, and how many of them were reached.</summary>
        public int[] Recorded { get; } = new int[3];
        public int[] Reached { get; } = new int[3];
        public int Alive => _recorded.Count;

        public CUresult cuEventCreate(CUevent* @event, uint flags)
        {
            _recorded[++_next] = (0, 0);
            *@event = new CUevent(_next);
            return CUresult.CUDA_SUCCESS;
        }

        public CUresult cuEventDestroy_v2(CUevent @event) => _recorded.Remove(@event.Value) ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_INVALID_HANDLE;

        public CUresult cuEventRecord(CUevent @event, CUstream stream)
        {
            _recorded[@event.Value] = (stream.Value, ++Recorded[stream.Value]);
            return CUresult.CUDA_SUCCESS;
        }

        public CUresult cuEventQuery(CUevent @event)
        {
            (ulong stream, int at) = _recorded[@event.Value];
            return at <= Reached[stream] ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_NOT_READY;
        }

        public CUresult cuEventSynchronize(CUevent @event)
        {
            (ulong stream, int at) = _recorded[@event.Value];
            Reached[stream] = Math.Max(Reached[stream], at);
            return CUresult.CUDA_SUCCESS;
        }

        public CUresult cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
        public CUresult trecrEventGetTime(ulong* nanoseconds, CUevent @event) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
        public CUresult trecrEventSetTime(CUevent @event, ulong nanoseconds) => CUresult.CUDA_ERROR_NOT_SUPPORTED;
    }

    [Test]
    public void FreedMemoryGoesToItsOwnStreamAtOnceAndToOthersWhenItsFreeWasReached() => Properties.Hold<int[]>(400, history =>
    {
        Events events = new();
        StreamOrderedFrees freed = new(events);
        List<(Allocation Allocation, ulong Stream, int At)> waiting = [];
        List<Allocation> collected = [];
        ulong next = 0;
        foreach (int n in history)
        {
            Random random = new(n);
            ulong stream = (ulong)random.Next(3);
            switch (random.Next(5))
            {
                case 0 or 1:
                    Allocation allocation = new(++next << 21, (ulong)random.Next(1, 4) << 20, AllocationKind.Device, random.Next(2), next, 1, 0);
                    Assert.That(freed.Add(allocation, new CUstream(stream)), Is.EqualTo(CUresult.CUDA_SUCCESS));
                    waiting.Add((allocation, stream, events.Recorded[stream]));
                    break;
                case 2:
                    (int ordinal, ulong bytes) = (random.Next(2), (ulong)random.Next(1, 4) << 20);
                    Allocation? same = freed.TakeSame(new CUstream(stream), ordinal, bytes);
                    int first = waiting.FindIndex(w => w.Stream == stream && w.Allocation.Bytes == bytes && w.Allocation.DeviceOrdinal == ordinal);
                    Assert.That(same, Is.EqualTo(first < 0 ? null : waiting[first].Allocation));
                    if (first >= 0) waiting.RemoveAt(first);
                    break;
                case 3:
                    if (events.Reached[stream] < events.Recorded[stream]) events.Reached[stream]++;
                    break;
                default:
                    bool wait = random.Next(4) == 0;
                    collected.Clear();
                    freed.Collect(wait, collected);
                    Allocation[] reached = [.. waiting.Where(w => wait || w.At <= events.Reached[w.Stream]).Select(w => w.Allocation)];
                    Assert.That(collected, Is.EqualTo(reached));
                    waiting.RemoveAll(w => reached.Contains(w.Allocation));
                    break;
            }
            Assert.That(freed.Bytes, Is.EqualTo(waiting.Aggregate(0UL, (sum, w) => sum + w.Allocation.Bytes)));
            Assert.That(events.Alive, Is.EqualTo(waiting.Count), "events");
        }
        freed.Collect(wait: true, collected);
        Assert.That((freed.Bytes, events.Alive), Is.EqualTo((0UL, 0)));
    });
}
