namespace TreCr.Store.Tiers;

/// <summary>What a tier is, in the words of policies.</summary>
public enum TierKind
{
    /// <summary><c>memory</c>: a directory in a tmpfs of this node.</summary>
    Memory,

    /// <summary><c>disk</c>: a directory on a disk of this node.</summary>
    Disk,

    /// <summary><c>nvram</c>: a directory of a file system with DAX on byte-addressable memory of this node, written through mappings.</summary>
    Nvram,

    /// <summary><c>partner</c>: a whole copy on another node.</summary>
    Partner,

    /// <summary><c>shared</c>: a directory that all nodes see.</summary>
    Shared,

    /// <summary><c>xor</c>: cut over the nodes of a set with one parity; any one may be lost.</summary>
    Xor,

    /// <summary><c>rs</c>: cut over k nodes with m Reed–Solomon parities on m more; any m may be lost.</summary>
    ReedSolomon,

    /// <summary><c>s3</c>: a whole copy in an object store with the interface of S3.</summary>
    S3,
}
