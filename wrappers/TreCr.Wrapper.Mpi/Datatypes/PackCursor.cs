using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>A place in the packed bytes of a number of items: packing and unpacking go on from it.</summary>
/// <param name="type">of the items</param><param name="buffer">address of the first</param>
internal unsafe struct PackCursor(Datatype type, nint buffer)
{
    private long _item, _within;
    private int _run;

    public void Pack(byte* into, long lengthBytes) => Move(into, lengthBytes, pack: true);

    public void Unpack(byte* from, long lengthBytes) => Move(from, lengthBytes, pack: false);

    /// <summary>Passes over so many packed bytes.</summary>
    public void Skip(long lengthBytes)
    {
        if (type.IsContiguous)
        {
            _within += lengthBytes;
            return;
        }
        if (type.SizeBytes == 0) return;
        _item += lengthBytes / type.SizeBytes;
        for (long rest = lengthBytes % type.SizeBytes; rest > 0;)
        {
            long run = type.Runs[_run].Length;
            if (rest < run)
            {
                _within = rest;
                return;
            }
            rest -= run;
            _run++;
        }
    }

    /// <exception cref="MpiException">memory of a device that cannot be reached</exception>
    private void Move(byte* packed, long length, bool pack)
    {
        DeviceRows rows = new(toHost: pack);
        if (type.IsContiguous)
        {
            Copy((byte*)buffer + _within, packed, length, pack, ref rows);
            _within += length;
            length = 0;
        }
        while (length > 0)
        {
            (long offset, long run) = type.Runs[_run];
            long piece = Math.Min(length, run - _within);
            Copy((byte*)buffer + _item * type.Extent + offset + _within, packed, piece, pack, ref rows);
            packed += piece;
            length -= piece;
            _within += piece;
            if (_within < run) continue;
            _within = 0;
            if (++_run < type.Runs.Length) continue;
            _run = 0;
            _item++;
        }
        rows.Flush();
    }

    private static void Copy(byte* memory, byte* packed, long length, bool pack, ref DeviceRows rows)
    {
        if (DeviceMemory.Contains(memory)) rows.Add(memory, packed, length);
        else if (pack) Buffer.MemoryCopy(memory, packed, length, length);
        else Buffer.MemoryCopy(packed, memory, length, length);
    }
}
