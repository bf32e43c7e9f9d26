using TreCr.Calls;
using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>Where a file handle is written: a pointer with both libraries.</summary>
internal readonly unsafe struct FilePointer
{
    private readonly nint* _address;

    private FilePointer(nint address) => _address = (nint*)address;

    public static FilePointer From(nint address) => address != 0 ? new(address) : throw new FileException(ErrorClass.Arg, "a null pointer", MpiFile.Nobody);

    public nint Value
    {
        get => *_address;
        set => *_address = value;
    }
}

/// <summary>MPI-3.1 §13.2 and §13.3: opening files, their size, views, modes and error handlers.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class FileCalls
{
    public static void MPI_File_open(nint comm, byte* name, int mode, nint info, FilePointer file)
    {
        Comm opens = Handles.Find<Comm>(comm) ?? throw new FileException(ErrorClass.Comm, $"not a communicator: {comm:x}", MpiFile.Nobody);
        file.Value = MpiFile.Open(opens, Text.Read(name), mode, Handles.IsNull<InfoObject>(info) ? null : InfoObject.From(info)).Handle;
    }

    public static void MPI_File_close(FilePointer file)
    {
        MpiFile.From(file.Value).Close();
        file.Value = Handles.Null<MpiFile>();
    }

    public static void MPI_File_delete(byte* name, nint info)
    {
        string path = MpiFile.WithoutFileSystem(Text.Read(name));
        long result = Sys.UnlinkAt(Sys.AT_FDCWD, path);
        if (result < 0) throw new FileException(FileException.ClassOf(-result), path, MpiFile.Nobody);
    }

    private static void CheckSize(long bytes)
    {
        if (bytes < 0) throw new MpiException(ErrorClass.Arg, $"{bytes} bytes");
    }

    public static void MPI_File_set_size(MpiFile file, long bytes)
    {
        CheckSize(bytes);
        file.AtRank0(() => file.SetLength(bytes), "ftruncate");
    }

    public static void MPI_File_preallocate(MpiFile file, long bytes)
    {
        CheckSize(bytes);
        file.AtRank0(() => file.Preallocate(bytes), "fallocate");
    }

    public static void MPI_File_get_size(MpiFile file, long* bytes) => *bytes = file.LengthBytes;

    public static void MPI_File_get_group(MpiFile file, HandlePointer group) => group.Value = Handles.Add(new Group(file.Comm.Group.Ranks));

    public static void MPI_File_get_amode(MpiFile file, int* mode) => *mode = file.Mode;

    /// <summary>Hints change nothing here.</summary>
    public static void MPI_File_set_info(MpiFile file, InfoObject info)
    {
        file.Info = new InfoObject();
        file.Info.Pairs.AddRange(info.Pairs);
    }

    public static void MPI_File_get_info(MpiFile file, HandlePointer info)
    {
        InfoObject copy = new();
        copy.Pairs.AddRange(file.Info.Pairs);
        info.Value = Handles.Add(copy);
    }

    public static void MPI_File_set_view(MpiFile file, long displacement, Datatype etype, Datatype fileType, byte* representation, nint info) => file.SetView(displacement, etype, fileType, Text.Read(representation));

    public static void MPI_File_get_view(MpiFile file, long* displacement, HandlePointer etype, HandlePointer fileType, byte* representation)
    {
        const int MaxRepresentation = 128;
        *displacement = file.View.Displacement;
        etype.Value = HandleOf(file.View.GivenEtype);
        fileType.Value = HandleOf(file.View.GivenFileType);
        Text.Write(representation, file.View.Representation, MaxRepresentation);
    }

    /// <summary>The program frees what is not predefined.</summary>
    private static nint HandleOf(Datatype type) => type.IsPredefined ? type.Handle : Handles.Add(type.Copy());

    public static void MPI_File_get_type_extent(MpiFile file, Datatype type, DistancePointer extent) => extent.Value = (file.View.IsExternal ? External32.InFile(type) : type).Extent;

    public static void MPI_File_set_atomicity(MpiFile file, int flag)
    {
        file.IsAtomic = flag != 0;
        file.Synchronize();
    }

    public static void MPI_File_get_atomicity(MpiFile file, int* flag) => *flag = file.IsAtomic ? 1 : 0;

    /// <summary>Durable, and seen by all.</summary>
    public static void MPI_File_sync(MpiFile file)
    {
        file.Flush();
        file.Synchronize();
    }

    public static void MPI_File_create_errhandler(nint function, HandlePointer handler) => ErrhandlerCalls.MPI_Comm_create_errhandler(function, handler);
    public static void MPI_File_set_errhandler(nint file, Errhandler handler) => MpiFile.OrNobody(file).Errhandler = handler;
    public static void MPI_File_get_errhandler(nint file, HandlePointer handler) => handler.Value = MpiFile.OrNobody(file).Errhandler.Handle;
    public static void MPI_File_call_errhandler(nint file, int code) => Library.Raise(MpiAbi.ErrorOf(code), MpiFile.OrNobody(file), "called by the program");
}
