namespace TreCr.Ptx;

/// <summary>PTX or a container that cannot be used; becomes a CUDA error, never leaves the API as an exception.</summary>
public sealed class PtxException : Exception
{
    /// <summary>CUDA_ERROR_INVALID_IMAGE 200, NO_BINARY_FOR_GPU 209, INVALID_PTX 218, UNSUPPORTED_PTX_VERSION 222.</summary>
    public int CudaError { get; }

    /// <summary>1-based line of the PTX text; 0 where there is none.</summary>
    public int Line { get; }

    public PtxException(int cudaError, string message, int line = 0) : base(line > 0 ? $"line {line}: {message}" : message)
    {
        CudaError = cudaError;
        Line = line;
    }

    /// <summary>CUDA_ERROR_INVALID_IMAGE.</summary>
    public const int InvalidImage = 200;
    /// <summary>CUDA_ERROR_NO_BINARY_FOR_GPU.</summary>
    public const int NoBinaryForGpu = 209;
    /// <summary>CUDA_ERROR_INVALID_PTX.</summary>
    public const int InvalidPtx = 218;
    /// <summary>CUDA_ERROR_UNSUPPORTED_PTX_VERSION.</summary>
    public const int UnsupportedVersion = 222;
}
