using TreCr.Linux;

namespace TreCr.Wrapper.Mpi;

/// <summary>A file could not be opened or accessed; where there is no file handle, the error handler of MPI_FILE_NULL hears of it.</summary>
internal sealed class FileException(ErrorClass error, string message, ErrorOwner owner) : MpiException(error, message)
{
    public override ErrorOwner Owner => owner;

    /// <summary>MPI's class of an error of the system.</summary>
    public static ErrorClass ClassOf(long errno) => errno switch
    {
        Errno.ENOENT => ErrorClass.NoSuchFile, Errno.EEXIST => ErrorClass.FileExists, Errno.EACCES or Errno.EPERM => ErrorClass.Access, Errno.EROFS => ErrorClass.ReadOnly, Errno.ENOSPC => ErrorClass.NoSpace,
        Errno.EDQUOT => ErrorClass.Quota, Errno.EISDIR or Errno.ENAMETOOLONG or Errno.ENOTDIR => ErrorClass.BadFile, Errno.ETXTBSY => ErrorClass.FileInUse, _ => ErrorClass.IO,
    };
}
