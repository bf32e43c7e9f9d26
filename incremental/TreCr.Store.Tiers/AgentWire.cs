using System.Buffers.Binary;
using System.Text;
using TreCr.Linux;

namespace TreCr.Store.Tiers;

/// <summary>What a <see cref="RemoteStoreFiles"/> asks of a <see cref="StoreAgent"/>: the methods of <see cref="IStoreFiles"/> and <see cref="IStoreFile"/>.</summary>
internal enum AgentCall : byte
{
    /// <summary>Version of this protocol; the answer is the store's location.</summary>
    Hello = 1,
    List, Create, Open, Rename, Delete, SyncDirectory, Lock, Unlock, FreeBytes,
    Length, Read, Write, StartWriteback, Sync, Close,
}

/// <summary>
/// One end of the stream between a store and the agent of another node. A message is its length (4 bytes, little-endian, without itself) and its bytes; a request begins with the call's number, an
/// answer with 0, or 1 + the kind of a <see cref="StoreException"/> whose message follows. One request is under way at a time.
/// </summary>
internal sealed class AgentWire(int socket) : IDisposable
{
    internal const int Version = 1, MaxMessageBytes = 9 << 20, MaxTransferBytes = 8 << 20;

    private byte[] _buffer = new byte[4096];
    private int _socket = socket, _length = 4, _at;

    /// <summary>Begins a message.</summary>
    internal AgentWire Begin(byte first)
    {
        _length = 4;
        return Put(first);
    }

    internal AgentWire Put(byte value)
    {
        Room(1)[0] = value;
        return this;
    }

    internal AgentWire Put(int value)
    {
        BinaryPrimitives.WriteInt32LittleEndian(Room(4), value);
        return this;
    }

    internal AgentWire Put(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(Room(8), value);
        return this;
    }

    internal AgentWire Put(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        Put(bytes.Length);
        return Put((ReadOnlySpan<byte>)bytes);
    }

    internal AgentWire Put(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        return this;
    }

    /// <summary>Room at the end of the message, to be filled by the caller before the next call.</summary>
    internal Span<byte> Room(int bytes)
    {
        if (_length + bytes > _buffer.Length) Array.Resize(ref _buffer, Math.Max(_length + bytes, _buffer.Length * 2));
        _length += bytes;
        return _buffer.AsSpan(_length - bytes, bytes);
    }

    /// <summary>Takes back the end of the room.</summary>
    internal void Shorten(int bytes) => _length -= bytes;

    /// <returns>false: the other end is gone</returns>
    internal bool Send()
    {
        BinaryPrimitives.WriteInt32LittleEndian(_buffer, _length - 4);
        for (int at = 0; at < _length;)
        {
            long n = Sys.Send(_socket, _buffer.AsSpan(at, _length - at));
            if (n <= 0) return false;
            at += (int)n;
        }
        return true;
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="timeoutMs">for each part of it; negative: no end</param>
    /// <returns>false: the other end is gone, silent, or sends what is no message</returns>
    internal bool Receive(int timeoutMs)
    {
        if (_buffer.Length < 4 || !Fill(0, 4, timeoutMs)) return false;
        int length = BinaryPrimitives.ReadInt32LittleEndian(_buffer);
        if (length is < 1 or > MaxMessageBytes) return false;
        if (_buffer.Length < length) _buffer = new byte[length];
        (_at, _length) = (0, length);
        return Fill(0, length, timeoutMs < 0 ? 60_000 : timeoutMs);
    }

    internal byte TakeByte() => Take(1)[0];

    internal int TakeInt() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    internal long TakeLong() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));

    internal string TakeText() => Encoding.UTF8.GetString(Take(TakeInt()));

    internal ReadOnlySpan<byte> TakeRest() => Take(_length - _at);

    /// <exception cref="InvalidDataException">the message is shorter</exception>
    internal ReadOnlySpan<byte> Take(int bytes)
    {
        if (bytes < 0 || bytes > _length - _at) throw new InvalidDataException("cut off");
        _at += bytes;
        return _buffer.AsSpan(_at - bytes, bytes);
    }

    /// <summary>Ends waits of other threads; the descriptor stays until <see cref="Dispose"/>.</summary>
    internal void Shutdown()
    {
        int socket = _socket;
        if (socket >= 0) Sys.ShutdownBoth(socket);
    }

    public void Dispose()
    {
        Sys.Close(_socket);
        _socket = -1;
    }

    private bool Fill(int at, int bytes, int timeoutMs)
    {
        while (bytes > 0)
        {
            Span<PollEntry> ready = [new PollEntry { Fd = _socket, Events = Sys.POLLIN }];
            if (Sys.Poll(ready, timeoutMs) == 0) return false;
            long n = Sys.Receive(_socket, _buffer.AsSpan(at, bytes), default, out _);
            if (n <= 0) return false;
            at += (int)n;
            bytes -= (int)n;
        }
        return true;
    }
}
