using System.Runtime.InteropServices;

// Arguments are blittable everywhere: no marshalling stubs.
[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]

namespace TreCr.Zstd;

/// <summary>The few functions of libzstd.so.1 (Debian package libzstd1) that are used. Source: zstd.h 1.5, stable API.</summary>
internal static unsafe partial class ZstdNative
{
    private const string Library = "libzstd.so.1";

    /// <summary>ZSTD_error_dstSize_tooSmall. Source: zstd_errors.h.</summary>
    internal const int DestinationTooSmall = 70;

    [LibraryImport(Library)] internal static partial nint ZSTD_createCCtx();
    [LibraryImport(Library)] internal static partial nuint ZSTD_freeCCtx(nint context);
    [LibraryImport(Library)] internal static partial nuint ZSTD_compressCCtx(nint context, void* destination, nuint capacity, void* source, nuint length, int level);
    [LibraryImport(Library)] internal static partial nint ZSTD_createDCtx();
    [LibraryImport(Library)] internal static partial nuint ZSTD_freeDCtx(nint context);
    [LibraryImport(Library)] internal static partial nuint ZSTD_decompressDCtx(nint context, void* destination, nuint capacity, void* source, nuint length);
    [LibraryImport(Library)] internal static partial nuint ZSTD_compressBound(nuint length);
    [LibraryImport(Library)] internal static partial uint ZSTD_isError(nuint code);
    [LibraryImport(Library)] internal static partial int ZSTD_getErrorCode(nuint code);
    [LibraryImport(Library)] internal static partial byte* ZSTD_getErrorName(nuint code);

    /// <exception cref="ZstdException">the code is one of an error</exception>
    internal static nuint Check(nuint code)
        => ZSTD_isError(code) == 0 ? code : throw new ZstdException(ZSTD_getErrorCode(code), Marshal.PtrToStringUTF8((nint)ZSTD_getErrorName(code)) ?? "unknown error");
}
