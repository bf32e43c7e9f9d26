using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// MPI-3.1 §13.4: reading and writing, at an explicit offset, at this rank's pointer and at the shared one; collective, non-blocking and split. Collective calls need no other rank here, but for
/// ordered ones; non-blocking ones are done when they return.
/// </summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class FileAccessCalls
{
    private static MessageStatus At(MpiFile file, bool write, long offset, nint buffer, long count, Datatype type)
    {
        NotSequential(file);
        return file.Transfer(write, offset, buffer, count, type, out _);
    }

    private static MessageStatus AtPointer(MpiFile file, bool write, nint buffer, long count, Datatype type)
    {
        NotSequential(file);
        MessageStatus status = file.Transfer(write, file.Position, buffer, count, type, out long items);
        file.Position += items;
        return status;
    }

    private static MessageStatus AtShared(MpiFile file, bool write, nint buffer, long count, Datatype type)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        return file.Transfer(write, file.Shared.FetchAdd(file.Items(file.View.BytesOf(type, count))), buffer, count, type, out _);
    }

    /// <summary>In the order of the ranks.</summary>
    private static MessageStatus Ordered(MpiFile file, bool write, nint buffer, long count, Datatype type)
    {
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        Comm comm = file.Comm;
        long[] items = new long[comm.Size + 1], counts = new long[comm.Size], offsets = new long[comm.Size];
        for (int i = 0; i < comm.Size; i++) (counts[i], offsets[i]) = (8, 8 * i);
        items[comm.Rank] = file.Items(file.View.BytesOf(type, count));
        fixed (long* words = items)
        {
            nint all = (nint)words, first = (nint)(words + comm.Size);
            Schedule.Run(comm, s => Algorithms.Allgather(s, 0, 0, PredefinedTypes.Byte, all, counts, offsets, PredefinedTypes.Byte));
            if (comm.Rank == 0) items[^1] = file.Shared.FetchAdd(items[..comm.Size].Sum());
            Schedule.Run(comm, s => Algorithms.Bcast(s, first, 8, PredefinedTypes.Byte, 0));
        }
        return file.Transfer(write, items[^1] + items[..comm.Rank].Sum(), buffer, count, type, out _);
    }

    private static void NotSequential(MpiFile file)
    {
        if ((file.Mode & MpiFile.Sequential) != 0) throw new MpiException(ErrorClass.UnsupportedOperation, "the file is open for sequential access: only the shared pointer may be used");
    }

    private static nint Done(MessageStatus status)
    {
        Request done = Request.Take(RequestKind.Schedule);
        (done.Status, done.IsDone) = (status, true);
        return done.Handle;
    }

    private static void Begin(MpiFile file, string end, Func<MessageStatus> access)
    {
        if (file.Split is { } open) throw new MpiException(ErrorClass.Other, $"{open.End} has not been called");
        file.Split = (end, access());
    }

    private static void End(MpiFile file, string end, StatusPointer status)
    {
        if (file.Split is not { } open || open.End != end) throw new MpiException(ErrorClass.Other, $"no call that {end} ends");
        file.Split = null;
        status.Set(open.Status);
    }

    public static void MPI_File_seek(MpiFile file, long offset, int whence)
    {
        NotSequential(file);
        file.Position = Target(file, offset, whence, file.Position);
    }

    public static void MPI_File_seek_shared(MpiFile file, long offset, int whence)
    {
        file.Synchronize(); // calls before this one are past at all ranks
        long target = Target(file, offset, whence, file.Shared.Get());
        file.Synchronize();
        if (file.Comm.Rank == 0) file.Shared.Set(target);
        file.Synchronize();
    }

    private static long Target(MpiFile file, long offset, int whence, long current)
    {
        long target = offset + whence switch { 600 => 0, 602 => current, 604 => file.View.ItemsIn(file.LengthBytes), _ => throw new MpiException(ErrorClass.Arg, $"whence {whence}") };
        return target >= 0 ? target : throw new MpiException(ErrorClass.Arg, $"offset {target}");
    }

    public static void MPI_File_get_position(MpiFile file, long* offset)
    {
        NotSequential(file);
        *offset = file.Position;
    }

    public static void MPI_File_get_position_shared(MpiFile file, long* offset) => *offset = file.Shared.Get();

    public static void MPI_File_get_byte_offset(MpiFile file, long offset, long* bytes)
    {
        if (offset < 0) throw new MpiException(ErrorClass.Arg, $"offset {offset}");
        *bytes = file.View.Piece(offset * file.View.Etype.SizeBytes).Offset;
    }
    public static void MPI_File_read_at(MpiFile file, long offset, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(At(file, false, offset, buffer, count, type));
    public static void MPI_File_read_at_all(MpiFile file, long offset, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(At(file, false, offset, buffer, count, type));
    public static void MPI_File_read(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtPointer(file, false, buffer, count, type));
    public static void MPI_File_read_all(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtPointer(file, false, buffer, count, type));
    public static void MPI_File_read_shared(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtShared(file, false, buffer, count, type));
    public static void MPI_File_read_ordered(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(Ordered(file, false, buffer, count, type));
    public static void MPI_File_iread_at(MpiFile file, long offset, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(At(file, false, offset, buffer, count, type));
    public static void MPI_File_iread_at_all(MpiFile file, long offset, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(At(file, false, offset, buffer, count, type));
    public static void MPI_File_iread(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtPointer(file, false, buffer, count, type));
    public static void MPI_File_iread_all(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtPointer(file, false, buffer, count, type));
    public static void MPI_File_iread_shared(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtShared(file, false, buffer, count, type));
    public static void MPI_File_read_at_all_begin(MpiFile file, long offset, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_read_at_all_end", () => At(file, false, offset, buffer, count, type));
    public static void MPI_File_read_at_all_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_read_at_all_end", status);
    public static void MPI_File_read_all_begin(MpiFile file, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_read_all_end", () => AtPointer(file, false, buffer, count, type));
    public static void MPI_File_read_all_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_read_all_end", status);
    public static void MPI_File_read_ordered_begin(MpiFile file, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_read_ordered_end", () => Ordered(file, false, buffer, count, type));
    public static void MPI_File_read_ordered_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_read_ordered_end", status);

    public static void MPI_File_write_at(MpiFile file, long offset, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(At(file, true, offset, buffer, count, type));
    public static void MPI_File_write_at_all(MpiFile file, long offset, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(At(file, true, offset, buffer, count, type));
    public static void MPI_File_write(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtPointer(file, true, buffer, count, type));
    public static void MPI_File_write_all(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtPointer(file, true, buffer, count, type));
    public static void MPI_File_write_shared(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(AtShared(file, true, buffer, count, type));
    public static void MPI_File_write_ordered(MpiFile file, nint buffer, Count count, Datatype type, StatusPointer status) => status.Set(Ordered(file, true, buffer, count, type));
    public static void MPI_File_iwrite_at(MpiFile file, long offset, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(At(file, true, offset, buffer, count, type));
    public static void MPI_File_iwrite_at_all(MpiFile file, long offset, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(At(file, true, offset, buffer, count, type));
    public static void MPI_File_iwrite(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtPointer(file, true, buffer, count, type));
    public static void MPI_File_iwrite_all(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtPointer(file, true, buffer, count, type));
    public static void MPI_File_iwrite_shared(MpiFile file, nint buffer, Count count, Datatype type, HandlePointer request) => request.Value = Done(AtShared(file, true, buffer, count, type));
    public static void MPI_File_write_at_all_begin(MpiFile file, long offset, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_write_at_all_end", () => At(file, true, offset, buffer, count, type));
    public static void MPI_File_write_at_all_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_write_at_all_end", status);
    public static void MPI_File_write_all_begin(MpiFile file, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_write_all_end", () => AtPointer(file, true, buffer, count, type));
    public static void MPI_File_write_all_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_write_all_end", status);
    public static void MPI_File_write_ordered_begin(MpiFile file, nint buffer, Count count, Datatype type) => Begin(file, "MPI_File_write_ordered_end", () => Ordered(file, true, buffer, count, type));
    public static void MPI_File_write_ordered_end(MpiFile file, nint buffer, StatusPointer status) => End(file, "MPI_File_write_ordered_end", status);
}
