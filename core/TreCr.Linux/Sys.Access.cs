namespace TreCr.Linux;

/// <summary>Permissions: faccessat2(2).</summary>
public static unsafe partial class Sys
{
    /// <summary>Whether the caller may execute the file, by its effective ids.</summary>
    public static bool CanExecute(string path)
    {
        const int faccessat2 = 439, X_OK = 1, AT_EACCESS = 0x200;
        fixed (byte* p = CString(path)) return Raw((SyscallNumber)faccessat2, AT_FDCWD, (long)p, X_OK, AT_EACCESS) == 0;
    }
}
