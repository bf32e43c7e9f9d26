namespace TreCr.Api.Scr;

/// <summary>How a checkpoint outlives the loss of nodes. Values as SCR's own.</summary>
public enum CopyType
{
    /// <summary>It does not; it outlives the program.</summary>
    Single = 1,

    /// <summary>A copy with the next member of the set.</summary>
    Partner = 2,

    /// <summary>Parity over the set: one member may be lost.</summary>
    Xor = 4,

    /// <summary>Reed–Solomon over the set: as many members may be lost as the descriptor says.</summary>
    Rs = 16,
}
