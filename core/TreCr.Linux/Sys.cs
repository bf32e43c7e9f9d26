using System.Runtime.InteropServices;

// Arguments are blittable everywhere, so no marshalling stub stands between a caller and libc.
[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]

namespace TreCr.Linux;

/// <summary>
/// System calls of x86-64 Linux, one file per group. Raw forms return the kernel's value: not negative on success,
/// -errno on failure; forms without a result throw <see cref="LinuxException"/>.
/// </summary>
/// <remarks>The only class that P/Invokes libc (stands where Tmds.LibC would). Any thread; nothing here allocates unless it takes a string.</remarks>
public static unsafe partial class Sys
{
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long LibcSyscall(long number, long a, long b, long c, long d, long e, long f);

    [LibraryImport("libc", EntryPoint = "syscall"), SuppressGCTransition]
    private static partial long LibcSyscallNoTransition(long number, long a, long b, long c, long d, long e, long f);

    /// <summary>Issues one system call through libc's <c>syscall(2)</c>.</summary>
    /// <returns>the kernel's result, or -errno</returns>
    public static long Raw(SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
    {
        long result = LibcSyscall((long)number, a, b, c, d, e, f);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <summary>
    /// The same without the GC transition and without errno: for calls that never block (yield, futex wake) on hot paths.
    /// </summary>
    /// <returns>the kernel's result; -1 on failure, whatever the errno</returns>
    public static long RawShort(SyscallNumber number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0)
        => LibcSyscallNoTransition((long)number, a, b, c, d, e, f);

    /// <summary>Throws when <paramref name="result"/> is a -errno.</summary>
    /// <returns><paramref name="result"/></returns>
    public static long Check(long result, string call, string detail = "")
        => result is < 0 and > -4096 ? throw new LinuxException(call, (int)-result, detail) : result;

    /// <summary>A NUL-terminated UTF-8 copy of <paramref name="text"/>; the caller pins it with <c>fixed</c>.</summary>
    public static byte[] CString(string text)
    {
        byte[] bytes = new byte[System.Text.Encoding.UTF8.GetByteCount(text) + 1];
        System.Text.Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}
