using System.Runtime.InteropServices;
using TreCr.XxHash;

namespace TreCr.Store.Tiers;

/// <summary>
/// A new file that is cut into shards as it is written, from its begin to its end; what several threads write out of order waits in memory for what is before it. Its shards are whole from
/// <see cref="Sync"/> on, and it cannot be changed after that.
/// </summary>
internal sealed unsafe class ErasureWriter : IStoreFile
{
    private readonly Lock _lock = new();
    private readonly IStoreFile[] _shards;
    private readonly ErasureCode _code;
    private readonly UInt128 _id;
    private readonly string _path;
    private readonly SortedDictionary<long, byte[]> _early = [];
    private readonly byte* _units; // k + m, each with room for its hash in front
    private readonly nint[] _data, _parity;
    private long _length;
    private int _filled;
    private bool _sealed, _disposed;

    private const int SlotBytes = ShardHeader.HashBytes + ShardHeader.UnitBytes, Lead = 64 - ShardHeader.HashBytes;

    /// <param name="shards">[k + m], empty; owned</param>
    internal ErasureWriter(IStoreFile[] shards, ErasureCode code, string path)
    {
        (_shards, _code, _path) = (shards, code, path);
        Span<byte> id = stackalloc byte[16];
        System.Security.Cryptography.RandomNumberGenerator.Fill(id);
        _id = MemoryMarshal.Read<UInt128>(id);
        _units = (byte*)NativeMemory.AlignedAlloc((nuint)(shards.Length * (SlotBytes + Lead)), 64);
        nint[] units = [.. Enumerable.Range(0, shards.Length).Select(i => (nint)Unit(i))];
        (_data, _parity) = (units[..code.Data], units[code.Data..]);
    }

    public long LengthBytes
    {
        get { lock (_lock) return _length; }
    }

    public int ReadAt(long offsetBytes, Span<byte> into) => throw new StoreException(StoreErrorKind.IO, $"{_path}: is being written");

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes)
    {
        lock (_lock)
        {
            if (_sealed || offsetBytes < _length) throw new StoreException(StoreErrorKind.IO, $"{_path}: what is written on an erasure-coded tier cannot be changed");
            if (offsetBytes > _length)
            {
                _early[offsetBytes] = bytes.ToArray();
                return;
            }
            Append(bytes);
            while (_early.Count > 0 && _early.First() is var (offset, waiting) && offset == _length)
            {
                _early.Remove(offset);
                Append(waiting);
            }
        }
    }

    public void StartWriteback(long offsetBytes, long lengthBytes) { }

    public void Sync()
    {
        lock (_lock)
        {
            Seal();
            foreach (IStoreFile shard in _shards) shard.Sync();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            try { Seal(); }
            catch (StoreException) { } // a file that was not synced may be lost
            foreach (IStoreFile shard in _shards) shard.Dispose();
            NativeMemory.AlignedFree(_units);
        }
    }

    private byte* Unit(int number) => _units + number * (SlotBytes + Lead) + Lead + ShardHeader.HashBytes;

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int unit = _filled / ShardHeader.UnitBytes, at = _filled % ShardHeader.UnitBytes, n = Math.Min(bytes.Length, ShardHeader.UnitBytes - at);
            bytes[..n].CopyTo(new Span<byte>(Unit(unit) + at, n));
            bytes = bytes[n..];
            _filled += n;
            _length += n;
            if (_filled == _code.Data * ShardHeader.UnitBytes) WriteStripe(ShardHeader.UnitBytes);
        }
    }

    private void Seal()
    {
        if (_sealed) return;
        if (_early.Count > 0) throw new StoreException(StoreErrorKind.IO, $"{_path}: a piece of it was never written");
        if (_filled > 0) WriteTail();
        Span<byte> header = stackalloc byte[ShardHeader.HeaderBytes];
        for (int i = 0; i < _shards.Length; i++)
        {
            new ShardHeader(_code.Data, _code.Parity, i, _id, _length).Write(header);
            _shards[i].WriteAt(0, header);
        }
        _sealed = true;
    }

    /// <summary>The last stripe: its bytes are spread over units that are as short as they can be.</summary>
    private void WriteTail()
    {
        int unit = ShardHeader.TailUnitBytes(_filled, _code.Data);
        byte[] bytes = new byte[unit * _code.Data];
        for (int at = 0; at < _filled; at += ShardHeader.UnitBytes)
            new ReadOnlySpan<byte>(Unit(at / ShardHeader.UnitBytes), Math.Min(ShardHeader.UnitBytes, _filled - at)).CopyTo(bytes.AsSpan(at));
        for (int i = 0; i < _code.Data; i++) bytes.AsSpan(i * unit, unit).CopyTo(new Span<byte>(Unit(i), unit));
        long stripe = (_length - _filled) / ((long)_code.Data * ShardHeader.UnitBytes);
        Emit(stripe, unit);
        _filled = 0;
    }

    private void WriteStripe(int unit)
    {
        Emit(_length / ((long)_code.Data * ShardHeader.UnitBytes) - 1, unit);
        _filled = 0;
    }

    private void Emit(long stripe, int unit)
    {
        _code.Encode(_data, _parity, unit);
        long offset = ShardHeader.OffsetOf(stripe);
        for (int i = 0; i < _shards.Length; i++)
        {
            byte* at = Unit(i);
            XxHash128.Hash(new ReadOnlySpan<byte>(at, unit), new Span<byte>(at - ShardHeader.HashBytes, ShardHeader.HashBytes));
            _shards[i].WriteAt(offset, new ReadOnlySpan<byte>(at - ShardHeader.HashBytes, unit + ShardHeader.HashBytes));
        }
    }
}
