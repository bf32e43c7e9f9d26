using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Store;

/// <summary>What is wrong; the command line maps it to an exit code (docs/format.md, cli.md).</summary>
public enum StoreErrorKind
{
    /// <summary>The directory exists and is something else (exit code 5).</summary>
    NotAStore,

    /// <summary>Written by a newer build (exit code 9).</summary>
    NewerFormat,

    /// <summary>Bytes that are not what was written, or that are missing (exit code 5).</summary>
    Damaged,

    /// <summary>The file system or the user's quota is full (exit code 6).</summary>
    NoSpace,

    /// <summary>No such store, checkpoint, snapshot (exit code 3).</summary>
    NotFound,

    /// <summary>Another process uses it, or the checkpoint exists already (exit code 4).</summary>
    Busy,

    /// <summary>Belongs to, or can be written by, another user (exit code 7).</summary>
    OtherOwner,

    /// <summary>The system refused an operation (exit code 1).</summary>
    IO,

    /// <summary>The store wants a key and none is given, or it is another one, or what was given is none (exit code 7).</summary>
    WrongKey,
}

/// <summary>The store cannot do what was asked. The message is one line that names the file, checkpoint or part.</summary>
/// <param name="kind">what the command line maps to an exit code</param>
public sealed class StoreException(StoreErrorKind kind, string message, Exception? inner = null) : ImageException(message, inner)
{
    /// <summary>What is wrong.</summary>
    public StoreErrorKind Kind => kind;

    /// <summary>The exception for a failed system call on <paramref name="path"/>.</summary>
    /// <param name="errno">positive errno value</param>
    internal static StoreException FromErrno(int errno, string call, string path) => new(
        errno switch
        {
            Errno.ENOSPC or Errno.EDQUOT => StoreErrorKind.NoSpace,
            Errno.ENOENT => StoreErrorKind.NotFound,
            _ => StoreErrorKind.IO,
        },
        $"{path}: {call} failed: {Errno.Describe(errno)}");
}
