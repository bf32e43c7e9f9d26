namespace TreCr.Api;

/// <summary>When the bytes of a region are taken, and how long they must stay as they are. The values from 0 on are VELOC-GPU's flags.</summary>
public enum RegionCopy
{
    /// <summary>Into the scratch file, before the call returns: what is there then outlives the program.</summary>
    Written = -1,

    /// <summary>DEFAULT: into a copy in memory, on the device where there is room; the file is written behind the program.</summary>
    Snapshot = 0,

    /// <summary>READ_ONLY: by whoever writes the file behind the program. They do not change until that is done.</summary>
    ReadOnly = 1,
}
