namespace TreCr.Wrapper.Mpi;

/// <summary>Which bytes of a file a rank sees: the data of a file type, laid end to end from a displacement on. Source: MPI-3.1 §13.3.</summary>
internal sealed class FileView
{
    /// <param name="representation">native, internal (the same) or external32</param>
    public FileView(long displacement, Datatype etype, Datatype fileType, string representation = "native")
    {
        if (representation is not ("native" or "internal")) External32.Require(representation);
        if (etype.SizeBytes == 0 || fileType.SizeBytes % etype.SizeBytes != 0) throw new MpiException(ErrorClass.Arg, $"a file type of {fileType.SizeBytes} bytes of an elementary type of {etype.SizeBytes}");
        (Displacement, Representation, GivenEtype, GivenFileType) = (displacement, representation, etype, fileType);
        (Etype, FileType) = IsExternal ? (External32.InFile(etype), External32.InFile(fileType)) : (etype, fileType);
    }

    public string Representation { get; }
    public bool IsExternal => Representation == External32.Name;

    /// <summary>As the program made them.</summary>
    public Datatype GivenEtype { get; }

    public Datatype GivenFileType { get; }

    /// <summary>All bytes of the file.</summary>
    public static FileView Bytes { get; } = new(0, PredefinedTypes.Byte, PredefinedTypes.Byte);

    /// <summary>Bytes from the beginning of the file.</summary>
    public long Displacement { get; }

    /// <summary>The unit of offsets, as it stands in the file.</summary>
    public Datatype Etype { get; }

    public Datatype FileType { get; }

    /// <summary>Bytes that items of a type have in the file.</summary>
    public long BytesOf(Datatype type, long count) => count * (IsExternal ? External32.SizeOf(type) : type.SizeBytes);

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
