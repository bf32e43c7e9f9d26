using System.Runtime.InteropServices;

namespace TreCr.Mpi.Tests;

/// <summary>
/// What lies between the ranks, as MPI promises it: messages between two ranks arrive in the order in which they were sent, those of different pairs in any; the bytes of a send are taken when it is
/// transmitted, not before. <see cref="Transmit"/> is the network's step, which an explorer takes when it likes.
/// </summary>
internal sealed unsafe class ModelNetwork(int size)
{
    private readonly Queue<Message>[] _sent = NewChannels(size), _arrived = NewChannels(size);
    private readonly Dictionary<nint, Message> _taken = [];
    private readonly HashSet<nint> _underWay = [];
    private nint _next = 1;

    private sealed record Message(nint Id, int Source, int Tag, nint Address, int Length)
    {
        public byte[]? Bytes { get; set; }
    }

    private static Queue<Message>[] NewChannels(int size) => [.. Enumerable.Range(0, size * size).Select(_ => new Queue<Message>())];

    public int Size => size;

    /// <summary>Nothing is under way.</summary>
    public bool IsEmpty => Array.TrueForAll(_sent, c => c.Count == 0) && Array.TrueForAll(_arrived, c => c.Count == 0) && _taken.Count == 0;

    /// <summary>Small messages are buffered at once, as libraries do it.</summary>
    private const int BufferedBytes = 8;

    public nint Send(int from, nint bytes, int count, int to, int tag)
    {
        Message message = new(_next++, from, tag, bytes, count);
        if (count <= BufferedBytes) message.Bytes = new ReadOnlySpan<byte>((void*)bytes, count).ToArray();
        else _underWay.Add(message.Id);
        _sent[from * size + to].Enqueue(message);
        return message.Id;
    }

    /// <summary>The oldest message of a pair is transmitted.</summary>
    /// <returns>false: there is none</returns>
    public bool Transmit(int from, int to)
    {
        if (!_sent[from * size + to].TryDequeue(out Message? message)) return false;
        message.Bytes ??= new ReadOnlySpan<byte>((void*)message.Address, message.Length).ToArray();
        _underWay.Remove(message.Id);
        _arrived[from * size + to].Enqueue(message);
        return true;
    }

    /// <param name="from">rank, or -1: any</param>
    /// <returns>message, source, tag, bytes; null: none</returns>
    public long[]? Probe(int at, int from)
    {
        for (int source = 0; source < size; source++)
        {
            if (from >= 0 && source != from || !_arrived[source * size + at].TryDequeue(out Message? message)) continue;
            _taken[message.Id] = message;
            return [message.Id, source, message.Tag, message.Length];
        }
        return null;
    }

    public void Receive(nint into, int count, nint id)
    {
        if (!_taken.Remove(id, out Message? message) || count != message.Length) throw new ProtocolViolation($"a receive of {count} bytes of message {id}");
        Marshal.Copy(message.Bytes!, 0, into, count);
    }

    public bool IsComplete(nint id) => !_underWay.Contains(id);
}
