using System.Buffers.Binary;
using TreCr.Linux;

namespace TreCr.Api.Gpi;

/// <summary>Frames over a stream socket: length of the payload (4 bytes), kind, whether a descriptor comes along, two zeroes, number of the request (4), payload.</summary>
/// <remarks>A descriptor belongs to the first byte of its frame, so that it is there when the frame is. One thread receives; senders take turns.</remarks>
internal sealed class FrameChannel(int socket) : IDisposable
{
    private const int HeaderBytes = 12, PieceBytes = 64 << 10;

    private readonly Queue<int> _descriptors = [];
    private readonly Queue<(byte[] Bytes, int Descriptor)> _unsent = [];
    private readonly Lock _sending = new();
    private byte[] _arrived = new byte[PieceBytes];
    private int _arrivedBytes, _sentOfFirst;
    private bool _closed; // under _sending: the number may be another file's by then

    public int Socket => socket;

    /// <summary>Frames wait for the socket (<see cref="Flush"/>).</summary>
    public bool HasUnsent => _unsent.Count > 0;

    /// <summary>Sends; blocks where the socket does. The descriptor stays the caller's.</summary>
    /// <returns>false: the other end has gone</returns>
    public bool Send(Frame frame)
    {
        byte[] bytes = Bytes(frame);
        lock (_sending)
        {
            if (_closed) return false;
            for (int sent = 0; sent < bytes.Length;)
            {
                long n = Sys.Send(socket, bytes.AsSpan(sent), sent == 0 && frame.Descriptor >= 0 ? [frame.Descriptor] : default);
                if (n < 0) return false;
                sent += (int)n;
            }
            return true;
        }
    }

    /// <summary>Puts a frame behind those that wait; for a socket that does not block. The descriptor is kept until it is sent, so the channel takes a duplicate.</summary>
    public void Enqueue(Frame frame) => _unsent.Enqueue((Bytes(frame), frame.Descriptor < 0 ? -1 : Sys.Duplicate(frame.Descriptor)));

    /// <summary>Sends what waits, as much as the socket takes.</summary>
    /// <returns>false: the other end has gone</returns>
    public bool Flush()
    {
        while (_unsent.TryPeek(out (byte[] Bytes, int Descriptor) first))
        {
            long n = Sys.Send(socket, first.Bytes.AsSpan(_sentOfFirst), _sentOfFirst == 0 && first.Descriptor >= 0 ? [first.Descriptor] : default);
            if (n == -Errno.EAGAIN) return true;
            if (n < 0) return false;
            _sentOfFirst += (int)n;
            if (_sentOfFirst < first.Bytes.Length) continue;
            if (first.Descriptor >= 0) Sys.Close(first.Descriptor);
            _unsent.Dequeue();
            _sentOfFirst = 0;
        }
        return true;
    }

    /// <summary>Ends the connection, so that whoever receives sees it; the socket stays.</summary>
    public void Shutdown()
    {
        lock (_sending)
            if (!_closed) Sys.ShutdownBoth(socket);
    }

    /// <summary>Takes what has arrived; blocks where the socket does.</summary>
    /// <returns>false: the other end has gone, or what it sends are no frames</returns>
    public bool Receive(List<Frame> into)
    {
        if (_arrived.Length - _arrivedBytes < PieceBytes / 2) Array.Resize(ref _arrived, _arrived.Length * 2);
        Span<int> descriptors = stackalloc int[8];
        long n = Sys.Receive(socket, _arrived.AsSpan(_arrivedBytes), descriptors, out int count);
        for (int i = 0; i < count; i++) _descriptors.Enqueue(descriptors[i]);
        if (n == -Errno.EAGAIN) return true;
        if (n <= 0) return false;
        _arrivedBytes += (int)n;
        int at = 0;
        for (; _arrivedBytes - at >= HeaderBytes;)
        {
            ReadOnlySpan<byte> header = _arrived.AsSpan(at, HeaderBytes);
            uint bytes = BinaryPrimitives.ReadUInt32LittleEndian(header);
            if (bytes > Frame.MaxPayloadBytes || header[5] > 1) return false;
            if (_arrivedBytes - at < HeaderBytes + (int)bytes) break;
            int descriptor = -1;
            if (header[5] == 1 && !_descriptors.TryDequeue(out descriptor)) return false;
            into.Add(new Frame((FrameKind)header[4], BinaryPrimitives.ReadUInt32LittleEndian(header[8..]), _arrived.AsSpan(at + HeaderBytes, (int)bytes).ToArray(), descriptor));
            at += HeaderBytes + (int)bytes;
        }
        _arrived.AsSpan(at, _arrivedBytes - at).CopyTo(_arrived);
        _arrivedBytes -= at;
        return true;
    }

    public void Dispose()
    {
        lock (_sending)
        {
            if (_closed) return;
            _closed = true;
            Sys.Close(socket);
        }
        while (_descriptors.TryDequeue(out int descriptor)) Sys.Close(descriptor);
        while (_unsent.TryDequeue(out (byte[] Bytes, int Descriptor) frame))
            if (frame.Descriptor >= 0) Sys.Close(frame.Descriptor);
    }

    private static byte[] Bytes(Frame frame)
    {
        if (frame.Payload.Length > Frame.MaxPayloadBytes) throw new GpiException(GpiCode.Error, $"a message of {frame.Payload.Length} bytes; {Frame.MaxPayloadBytes} is the most");
        byte[] bytes = new byte[HeaderBytes + frame.Payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)frame.Payload.Length);
        bytes[4] = (byte)frame.Kind;
        bytes[5] = frame.Descriptor >= 0 ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), frame.Id);
        frame.Payload.CopyTo(bytes, HeaderBytes);
        return bytes;
    }
}
