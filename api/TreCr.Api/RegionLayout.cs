using System.Buffers.Binary;

namespace TreCr.Api;

/// <summary>
/// What a checkpoint file of memory begins with: VELOC's layout, which has neither magic nor version. size_t number of regions; of each its int number and its size_t bytes, without padding;
/// then the regions' bytes in the same order. Little-endian. The file is exactly as long as that says.
/// </summary>
/// <remarks>Source: facts/api.md §1.5.</remarks>
public sealed class RegionLayout
{
    private const int EntryBytes = 12, MaxRegions = 1 << 20;

    private readonly SortedDictionary<int, (long Offset, long Bytes)> _regions = [];

    /// <summary>Lays regions out, by ascending number.</summary>
    public RegionLayout(IEnumerable<(int Id, long Bytes)> regions)
    {
        foreach ((int id, long bytes) in regions) _regions[id] = (0, bytes);
        Place();
    }

    private void Place()
    {
        HeaderBytes = 8 + _regions.Count * EntryBytes;
        long at = HeaderBytes;
        foreach (int id in (int[])[.. _regions.Keys])
        {
            long bytes = _regions[id].Bytes;
            _regions[id] = (at, bytes);
            at += bytes;
        }
        LengthBytes = at;
    }

    /// <summary>Bytes before the first region.</summary>
    public int HeaderBytes { get; private set; }

    /// <summary>Bytes of the whole file.</summary>
    public long LengthBytes { get; private set; }

    /// <summary>Where each region lies in the file, by ascending number.</summary>
    public IReadOnlyDictionary<int, (long Offset, long Bytes)> Regions => _regions;

    /// <summary>The bytes before the first region.</summary>
    public byte[] Header()
    {
        byte[] header = new byte[HeaderBytes];
        BinaryPrimitives.WriteInt64LittleEndian(header, _regions.Count);
        int at = 8;
        foreach ((int id, (_, long bytes)) in _regions)
        {
            BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(at), id);
            BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(at + 4), bytes);
            at += EntryBytes;
        }
        return header;
    }

    /// <summary>Reads the layout of a file.</summary>
    /// <param name="lengthBytes">of the file</param>
    /// <returns>null: the file is not of this layout, or not of the length that it says</returns>
    public static RegionLayout? TryRead(IRegionMemory file, long lengthBytes)
    {
        byte[] count = new byte[8];
        if (lengthBytes < 8) return null;
        file.Read(0, count);
        long regions = BinaryPrimitives.ReadInt64LittleEndian(count);
        if (regions is < 0 or > MaxRegions || lengthBytes < 8 + regions * EntryBytes) return null;
        byte[] entries = new byte[regions * EntryBytes];
        file.Read(8, entries);
        List<(int, long)> found = [];
        for (int at = 0; at < entries.Length; at += EntryBytes)
        {
            long bytes = BinaryPrimitives.ReadInt64LittleEndian(entries.AsSpan(at + 4));
            if (bytes < 0 || bytes > lengthBytes) return null;
            found.Add((BinaryPrimitives.ReadInt32LittleEndian(entries.AsSpan(at)), bytes));
        }
        // In ascending order, each once: what else there is in a file was not written by a program of this interface.
        for (int i = 1; i < found.Count; i++)
            if (found[i].Item1 <= found[i - 1].Item1) return null;
        RegionLayout layout = new(found);
        return layout.LengthBytes == lengthBytes ? layout : null;
    }
}
