namespace TreCr.Api;

/// <summary>Which regions a call is about; the values are VELOC's (VELOC_CKPT_*, VELOC_RECOVER_*).</summary>
public enum RegionChoice
{
    /// <summary>All of them.</summary>
    All = 0,

    /// <summary>Those named.</summary>
    Some = 1,

    /// <summary>All but those named.</summary>
    Rest = 2,
}
