namespace TreCr.Api.Gpi;

/// <summary>gpi_cp_policy_t: whose memory holds whose mirror. <see cref="Ring"/> is the published one; the others are ours.</summary>
public enum MirrorPolicy
{
    /// <summary>The next place; the last one's is the first.</summary>
    Ring = 1,

    /// <summary>The place before.</summary>
    RingLeft = 2,

    /// <summary>0 and 1, 2 and 3, and so on; of an odd number the last one's is the first place.</summary>
    Pairs = 3,

    /// <summary>The program says it (gpi_cp_set_mirror).</summary>
    User = 4,
}
