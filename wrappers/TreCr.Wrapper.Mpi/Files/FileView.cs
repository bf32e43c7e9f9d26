namespace TreCr.Wrapper.Mpi;

/// <summary>Which bytes of a file a rank sees: the data of a file type, laid end to end from a displacement on. Source: MPI-3.1 §13.3.</summary>
internal sealed class FileView
{
    public FileView(long displacement, Datatype etype, Datatype fileType)
    {
        if (etype.SizeBytes == 0 || fileType.SizeBytes % etype.SizeBytes != 0) throw new MpiException(ErrorClass.Arg, $"a file type of {fileType.SizeBytes} bytes of an elementary type of {etype.SizeBytes}");
        (Displacement, Etype, FileType) = (displacement, etype, fileType);
    }

    /// <summary>All bytes of the file.</summary>
    public static FileView Bytes { get; } = new(0, PredefinedTypes.Byte, PredefinedTypes.Byte);

    /// <summary>Bytes from the beginning of the file.</summary>
    public long Displacement { get; }

    /// <summary>The unit of offsets.</summary>
    public Datatype Etype { get; }

    public Datatype FileType { get; }

    /// <summary>Where a byte of the view's data lies, and how many follow it there.</summary>
    /// <param name="at">number of the byte in the view's data</param>
    /// <returns>offset in the file, bytes</returns>
    public (long Offset, long LengthBytes) Piece(long at)
    {
        if (FileType.IsContiguous) return (Displacement + at, long.MaxValue);
        (long item, long within) = Math.DivRem(at, FileType.SizeBytes);
        int run = 0;
        for (; within >= FileType.Runs[run].Length; run++) within -= FileType.Runs[run].Length;
        return (Displacement + item * FileType.Extent + FileType.Runs[run].Offset + within, FileType.Runs[run].Length - within);
    }

    /// <summary>Elementary items of the view in a file of so many bytes; one that is cut counts.</summary>
    public long ItemsIn(long fileBytes)
    {
        long rest = Math.Max(0, fileBytes - Displacement), data = 0;
        if (FileType.IsContiguous) data = rest;
        else
        {
            (long items, long within) = Math.DivRem(rest, FileType.Extent);
            foreach (var (offset, length) in FileType.Runs) data += Math.Clamp(within - offset, 0, length);
            data += items * FileType.SizeBytes;
        }
        return (data + Etype.SizeBytes - 1) / Etype.SizeBytes;
    }
}
