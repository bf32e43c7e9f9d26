namespace TreCr.Zstd;

/// <summary>libzstd refused: corrupt input, or a destination that is too small.</summary>
/// <param name="code">ZSTD_ErrorCode, zstd_errors.h</param>
public sealed class ZstdException(int code, string message) : Exception($"zstd: {message}")
{
    /// <summary>ZSTD_ErrorCode, zstd_errors.h.</summary>
    public int Code => code;
}
