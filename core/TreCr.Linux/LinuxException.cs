namespace TreCr.Linux;

/// <summary>A system call failed. Carries the call, what it was applied to, and the errno.</summary>
/// <param name="call">name of the system call, as in its man page</param>
/// <param name="errno">positive errno value</param>
/// <param name="detail">what the call was applied to (a path, a pid); may be empty</param>
public sealed class LinuxException(string call, int errno, string detail = "")
    : Exception(detail.Length == 0 ? $"{call}: {Errno.Describe(errno)}" : $"{call} {detail}: {Errno.Describe(errno)}")
{
    /// <summary>Name of the system call.</summary>
    public string Call => call;

    /// <summary>Positive errno value, as in errno(3).</summary>
    public int ErrorNumber => errno;
}
