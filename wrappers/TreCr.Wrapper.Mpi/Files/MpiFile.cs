using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>
/// A file that the ranks of a communicator have opened. Each rank reads and writes it by system calls of its own, so that a checkpoint treats it as any open file of the program; view, pointers and
/// modes are the program's memory. No call goes on after it returned: non-blocking ones are done at once.
/// </summary>
/// <remarks>Source: MPI-3.1 chapter 13.</remarks>
internal sealed unsafe class MpiFile : ErrorOwner
{
    /// <summary>In both headers.</summary>
    public const int Create = 1, ReadOnly = 2, WriteOnly = 4, ReadWrite = 8, DeleteOnClose = 16, UniqueOpen = 32, Exclusive = 64, Append = 128, Sequential = 256;

    private readonly int _fd;

    private MpiFile(Comm comm, uint callsNumber, int fd, string path, int mode)
    {
        (Comm, _fd, Path, Mode) = (comm, fd, path, mode);
        Shared = new SharedPointer(comm, callsNumber);
        Errhandler = Nobody.Errhandler;
    }

    public Comm Comm { get; }
    public string Path { get; }
    public int Mode { get; }
    public FileView View { get; private set; } = FileView.Bytes;

    /// <summary>Of this rank, elementary items.</summary>
    public long Position { get; set; }

    public SharedPointer Shared { get; }
    public bool IsAtomic { get; set; }
    public InfoObject Info { get; set; } = new();

    /// <summary>Of a split collective call between its begin and its end: the name of the end, and how it went.</summary>
    public (string End, MessageStatus Status)? Split { get; set; }

    /// <summary>MPI_FILE_NULL, whose error handler hears where there is no file, and is that of files opened later.</summary>
    public static ErrorOwner Nobody { get; } = new NoFile { Errhandler = Errhandler.Return };

    private sealed class NoFile : ErrorOwner;

    public static MpiFile From(nint raw) => Handles.Find<MpiFile>(raw) ?? throw new FileException(ErrorClass.File, $"not a valid handle: {raw:x}", Nobody);

    /// <summary>The file, or MPI_FILE_NULL.</summary>
    public static ErrorOwner OrNobody(nint raw) => Handles.IsNull<MpiFile>(raw) ? Nobody : From(raw);

    public static void Define() => Handles.PredefineNull<MpiFile>("ompi_mpi_file_null", 0);

    /// <summary>MPI_File_open. Collective: all ranks have the file, or none.</summary>
    public static MpiFile Open(Comm comm, string name, int mode, InfoObject? info)
    {
        string path = WithoutFileSystem(name);
        ErrorClass error = CheckMode(mode);
        (Comm own, uint callsNumber) = CommunicatorCalls.MakePrivate(comm);
        long fd = -1;
        // Rank 0 makes it, the others open what is there.
        if (error == ErrorClass.Success && comm.Rank == 0) error = TryOpen(path, mode, out fd);
        error = own.WorstOf(error);
        if (error == ErrorClass.Success && comm.Rank != 0) error = TryOpen(path, mode & ~(Create | Exclusive), out fd);
        error = own.WorstOf(error);
        if (error != ErrorClass.Success)
        {
            if (fd >= 0) Sys.Close((int)fd);
            foreach (uint context in new[] { own.Mailbox.Context, own.CollectiveMailbox.Context }) Mailbox.Forget(context);
            throw new FileException(error, path, Nobody);
        }
        MpiFile file = new(own, callsNumber, (int)fd, path, mode);
        if (info is not null) file.Info.Pairs.AddRange(info.Pairs);
        if ((mode & Append) != 0)
        {
            file.Position = file.LengthBytes;
            if (comm.Rank == 0) file.Shared.Set(file.Position);
        }
        Handles.Add(file);
        file.Synchronize();
        return file;
    }

    /// <summary>ROMIO's way to name a kind of file system.</summary>
    public static string WithoutFileSystem(string name)
    {
        int colon = name.IndexOf(':');
        return colon > 1 && name[..colon] is "ufs" or "nfs" or "lustre" or "gpfs" or "xfs" or "pvfs2" or "panfs" or "testfs" ? name[(colon + 1)..] : name;
    }

    private static ErrorClass CheckMode(int mode)
    {
        int access = mode & (ReadOnly | WriteOnly | ReadWrite);
        if (access is not (ReadOnly or WriteOnly or ReadWrite)) return ErrorClass.Amode;
        return access == ReadOnly && (mode & (Create | Exclusive)) != 0 || access == ReadWrite && (mode & Sequential) != 0 ? ErrorClass.Amode : ErrorClass.Success;
    }

    private static ErrorClass TryOpen(string path, int mode, out long fd)
    {
        int flags = Sys.O_CLOEXEC | ((mode & ReadOnly) != 0 ? Sys.O_RDONLY : (mode & WriteOnly) != 0 ? Sys.O_WRONLY : Sys.O_RDWR);
        if ((mode & Create) != 0) flags |= Sys.O_CREAT;
        if ((mode & Exclusive) != 0) flags |= Sys.O_EXCL;
        fd = Sys.TryOpen(path, flags, 0x1b6); // 0666
        return fd < 0 ? FileException.ClassOf(-fd) : ErrorClass.Success;
    }

    /// <summary>Rank 0 does something to the file, all hear how it went.</summary>
    /// <exception cref="MpiException">it failed</exception>
    public void AtRank0(Func<long> act, string what)
    {
        ErrorClass error = Comm.WorstOf(Comm.Rank == 0 && act() is < 0 and var failed ? FileException.ClassOf(-failed) : ErrorClass.Success);
        if (error != ErrorClass.Success) throw new MpiException(error, $"{what} {Path}");
    }

    /// <summary>All ranks are here.</summary>
    public void Synchronize() => Schedule.Run(Comm, Algorithms.Barrier);

    /// <summary>MPI_File_close. Collective.</summary>
    public void Close()
    {
        if (Split is not null) throw new MpiException(ErrorClass.Other, "a split collective call has not ended");
        Sys.Close(_fd);
        Synchronize();
        if (Comm.Rank == 0 && (Mode & DeleteOnClose) != 0) Sys.UnlinkAt(Sys.AT_FDCWD, Path);
        Synchronize(); // nobody opens it again before it is gone; the window's last call is long past
        Shared.Close();
        Handles.Remove(this);
    }

    public long LengthBytes => Sys.Fstat(_fd).LengthBytes;

    public long SetLength(long bytes) => Sys.Raw(SyscallNumber.Ftruncate, _fd, bytes);

    /// <summary>Room for so many bytes is taken now; the file grows to them.</summary>
    public long Preallocate(long bytes)
    {
        long result = Sys.Raw(SyscallNumber.Fallocate, _fd, 0, 0, bytes);
        return result != -Errno.EOPNOTSUPP ? result : LengthBytes < bytes ? SetLength(bytes) : 0;
    }

    public void Flush()
    {
        long result = Sys.Fsync(_fd);
        if (result is < 0 and not -Errno.EINVAL) throw new MpiException(FileException.ClassOf(-result), $"fsync {Path}");
    }

    /// <summary>MPI_File_set_view. Collective: both pointers go to 0.</summary>
    public void SetView(long displacement, Datatype etype, Datatype fileType, string representation)
    {
        const int Current = -54278278; // MPI_DISPLACEMENT_CURRENT
        if (displacement == Current && (Mode & Sequential) != 0) displacement = View.Piece(Shared.Get() * View.Etype.SizeBytes).Offset;
        if (displacement < 0) throw new MpiException(ErrorClass.Arg, $"displacement {displacement}");
        View = new FileView(displacement, etype, fileType, representation);
        Position = 0;
        Synchronize(); // nobody uses the shared pointer still
        if (Comm.Rank == 0) Shared.Set(0);
        Synchronize();
    }

    /// <summary>Elementary items of so much data.</summary>
    public long Items(long bytes) => (bytes + View.Etype.SizeBytes - 1) / View.Etype.SizeBytes;

    /// <summary>Reads or writes at a place of the view.</summary>
    /// <param name="at">elementary items</param>
    /// <param name="items">elementary items that were read or written; one that was cut counts</param>
    public MessageStatus Transfer(bool write, long at, nint buffer, long count, Datatype type, out long items)
    {
        Check(write);
        if (count < 0) throw new MpiException(ErrorClass.Count, $"count {count}");
        if (at < 0) throw new MpiException(ErrorClass.Arg, $"offset {at}");
        long bytes = View.BytesOf(type, count), done, inMemory;
        if (IsAtomic) Shared.Lock();
        try
        {
            if (type.IsContiguous && !View.IsExternal && !DeviceMemory.Contains((void*)buffer)) inMemory = done = Transfer(write, at * View.Etype.SizeBytes, (byte*)buffer, bytes);
            else (done, inMemory) = TransferPacked(write, at * View.Etype.SizeBytes, buffer, count, type, bytes);
        }
        finally
        {
            if (IsAtomic) Shared.Unlock();
        }
        items = Items(done);
        return MessageStatus.Empty with { LengthBytes = inMemory };
    }

    /// <param name="at">bytes of the view's data</param><param name="bytes">of the items in the file</param>
    /// <returns>bytes of the file, and what they are in memory</returns>
    private (long Done, long InMemory) TransferPacked(bool write, long at, nint buffer, long count, Datatype type, long bytes)
    {
        long most = count * type.SizeBytes;
        byte* packed = (byte*)NativeMemory.Alloc((nuint)Math.Max(1, most)), inFile = View.IsExternal ? (byte*)NativeMemory.Alloc((nuint)Math.Max(1, bytes)) : packed;
        try
        {
            if (write) new PackCursor(type, buffer).Pack(packed, most);
            if (write && View.IsExternal) new ExternalCursor(packed, inFile, bytes, toExternal: true).Move(type, count);
            long done = Transfer(write, at, inFile, bytes), inMemory = View.IsExternal ? most : done;
            if (View.IsExternal && (!write || done < bytes))
            {
                ExternalCursor cursor = new(packed, inFile, done, toExternal: write);
                cursor.Move(type, count);
                inMemory = cursor.MemoryBytes;
            }
            if (!write) new PackCursor(type, buffer).Unpack(packed, inMemory);
            return (done, inMemory);
        }
        finally
        {
            NativeMemory.Free(packed);
            if (View.IsExternal) NativeMemory.Free(inFile);
        }
    }

    private void Check(bool write)
    {
        if (write && (Mode & ReadOnly) != 0) throw new MpiException(ErrorClass.ReadOnly, Path);
        if (!write && (Mode & WriteOnly) != 0) throw new MpiException(ErrorClass.Access, $"{Path} is open for writing only");
    }

    /// <returns>bytes; fewer than asked at the end of the file</returns>
    private long Transfer(bool write, long at, byte* memory, long bytes)
    {
        long done = 0;
        while (done < bytes)
        {
            (long offset, long piece) = View.Piece(at + done);
            piece = Math.Min(piece, bytes - done);
            long n = write ? Sys.Pwrite(_fd, memory + done, piece, offset) : Sys.Pread(_fd, memory + done, piece, offset);
            if (n < 0) throw new MpiException(FileException.ClassOf(-n), $"{(write ? "write" : "read")} {Path}, errno {-n}");
            if (n == 0) break;
            done += n;
        }
        return done;
    }
}
