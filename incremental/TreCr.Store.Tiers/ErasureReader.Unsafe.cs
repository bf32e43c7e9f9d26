using System.Buffers.Binary;
using TreCr.XxHash;

namespace TreCr.Store.Tiers;

/// <summary>A file of an erasure-coded tier, open for reading. Every unit is verified; one that is lost or damaged is computed from k others. Any thread.</summary>
internal sealed unsafe class ErasureReader : IStoreFile
{
    private readonly Lock _lock = new();
    private readonly IStoreFile?[] _shards;
    private readonly ErasureCode _code;
    private readonly ErasureStoreFiles _owner;
    private readonly string _path;
    private (long Stripe, int Unit, byte[] Bytes) _last = (-1, -1, []);

    /// <param name="shards">[k + m], k or more of them there; owned</param>
    internal ErasureReader(IStoreFile?[] shards, ShardHeader header, ErasureCode code, ErasureStoreFiles owner, string path)
    {
        (_shards, Header, _code, _owner, _path) = (shards, header, code, owner, path);
    }

    internal ShardHeader Header { get; }

    public long LengthBytes => Header.LengthBytes;

    public int ReadAt(long offsetBytes, Span<byte> into)
    {
        int wanted = (int)Math.Clamp(Header.LengthBytes - offsetBytes, 0, into.Length);
        for (int done = 0; done < wanted;)
        {
            long at = offsetBytes + done, stripe = at / Header.StripeBytes;
            int unitBytes = Header.UnitBytesOf(stripe), within = (int)(at - stripe * Header.StripeBytes), unit = within / unitBytes, skip = within % unitBytes;
            byte[] bytes = Unit(stripe, unit, unitBytes);
            int n = Math.Min(wanted - done, unitBytes - skip);
            bytes.AsSpan(skip, n).CopyTo(into[done..]);
            done += n;
        }
        return wanted;
    }

    public void WriteAt(long offsetBytes, ReadOnlySpan<byte> bytes) => throw new StoreException(StoreErrorKind.IO, $"{_path}: what is written on an erasure-coded tier cannot be changed");

    public void StartWriteback(long offsetBytes, long lengthBytes) { }

    public void Sync() { }

    public void Dispose()
    {
        foreach (IStoreFile? shard in _shards) shard?.Dispose();
    }

    /// <summary>A unit of data or parity: read, or computed.</summary>
    /// <exception cref="StoreException">Damaged: fewer than k units of the stripe are whole</exception>
    internal byte[] Unit(long stripe, int number, int unitBytes)
    {
        lock (_lock) if (_last.Stripe == stripe && _last.Unit == number) return _last.Bytes;
        byte[]? bytes = TryRead(stripe, number, unitBytes);
        if (bytes is null)
        {
            bytes = Rebuild(stripe, number, unitBytes);
            _owner.CountRebuilt();
        }
        lock (_lock) _last = (stripe, number, bytes);
        return bytes;
    }

    /// <returns>null: lost or damaged</returns>
    internal byte[]? TryRead(long stripe, int number, int unitBytes)
    {
        if (_shards[number] is not { } shard) return null;
        byte[] bytes = GC.AllocateUninitializedArray<byte>(unitBytes + ShardHeader.HashBytes);
        try { if (shard.ReadAt(ShardHeader.OffsetOf(stripe), bytes) != bytes.Length) return null; }
        catch (StoreException e) when (e.Kind == StoreErrorKind.IO) { return null; } // an agent that went, a disk that fails: as good as lost
        if (BinaryPrimitives.ReadUInt128BigEndian(bytes) != XxHash128.HashToUInt128(bytes.AsSpan(ShardHeader.HashBytes))) return null;
        return bytes[ShardHeader.HashBytes..];
    }

    private byte[] Rebuild(long stripe, int number, int unitBytes)
    {
        List<int> numbers = [];
        List<byte[]> units = [];
        for (int i = 0; i < _shards.Length && numbers.Count < _code.Data; i++)
        {
            if (i == number || TryRead(stripe, i, unitBytes) is not { } unit) continue;
            numbers.Add(i);
            units.Add(unit);
        }
        if (numbers.Count < _code.Data)
            throw new StoreException(StoreErrorKind.Damaged, $"{_path}: {numbers.Count} of {_shards.Length} shards have stripe {stripe} whole, and {_code.Data} are needed");
        byte[] target = new byte[unitBytes];
        System.Runtime.InteropServices.GCHandle[] pins = [.. units.Append(target).Select(u => System.Runtime.InteropServices.GCHandle.Alloc(u, System.Runtime.InteropServices.GCHandleType.Pinned))];
        try
        {
            nint[] at = [.. pins.Select(p => p.AddrOfPinnedObject())];
            _owner.RecipeFor([.. numbers], number).Apply(at.AsSpan(0, units.Count), at.AsSpan(units.Count), unitBytes);
        }
        finally
        {
            foreach (System.Runtime.InteropServices.GCHandle pin in pins) pin.Free();
        }
        return target;
    }
}
