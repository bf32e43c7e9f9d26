namespace TreCr.Wrapper.Runtime;

/// <summary>Where the process stands with its delegator.</summary>
public enum SessionState
{
    /// <summary>No cuInit yet, or a forked child (the state lies in memory that a fork wipes): CUDA_ERROR_NOT_INITIALIZED.</summary>
    None = 0,

    /// <summary>The delegator serves.</summary>
    Running,

    /// <summary>The process is in exit(): CUDA_ERROR_DEINITIALIZED, as the driver answers static destructors.</summary>
    Ended,

    /// <summary>The delegator is gone: CUDA_ERROR_LAUNCH_FAILED from every call.</summary>
    Lost,
}
