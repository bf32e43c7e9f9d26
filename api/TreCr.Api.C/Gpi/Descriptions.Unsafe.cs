using System.Runtime.InteropServices;
using TreCr.Api.Gpi;

namespace TreCr.Api.C.Gpi;

/// <summary>gpi_cp_description_t: 16 bytes that the program frees, [magic, number of a <see cref="MirroredCheckpoint"/>].</summary>
internal static unsafe class Descriptions
{
    private const ulong Magic = 0x6e6f_6974_7072_6373;

    private static readonly Dictionary<ulong, MirroredCheckpoint> s_checkpoints = [];
    private static ulong s_last;

    /// <summary>A new one, of libc's malloc.</summary>
    public static nint Create()
    {
        ulong* description = (ulong*)NativeMemory.Alloc(2 * sizeof(ulong));
        (description[0], description[1]) = (Magic, Interlocked.Increment(ref s_last));
        return (nint)description;
    }

    /// <exception cref="GpiException">it is none</exception>
    public static (ulong Number, MirroredCheckpoint Checkpoint) Find(GpiSession session, void* description)
    {
        Client.NotNull(description);
        ulong* words = (ulong*)description;
        if (words[0] != Magic) throw new GpiException(GpiCode.Error, "this is no description: GPI_CP_DESCRIPTION_INITIALIZER makes one");
        lock (s_checkpoints)
        {
            if (!s_checkpoints.TryGetValue(words[1], out MirroredCheckpoint? checkpoint)) s_checkpoints.Add(words[1], checkpoint = new MirroredCheckpoint(session));
            return (words[1], checkpoint);
        }
    }

    /// <summary>Forgets one that has ended.</summary>
    public static void Remove(ulong number) { lock (s_checkpoints) s_checkpoints.Remove(number); }

    /// <summary>The rank has left.</summary>
    public static void Clear()
    {
        lock (s_checkpoints)
        {
            foreach (MirroredCheckpoint checkpoint in s_checkpoints.Values) checkpoint.Dispose();
            s_checkpoints.Clear();
        }
    }
}
