using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Who gets SIGIO of a description: F_SETOWN, F_SETSIG, O_ASYNC. Source: fcntl(2).</summary>
internal static unsafe class FileOwner
{
    private const int F_SETSIG = 10, F_GETSIG = 11, F_SETOWN_EX = 15, F_GETOWN_EX = 16, O_ASYNC = 0x2000;

    public static void Capture(OpenDescriptor d, OpenFileImage to)
    {
        int fd = d.TryBorrow();
        if (fd < 0) return;
        int* owner = stackalloc int[2];
        if (!d.IsPath && Sys.Control(fd, F_GETOWN_EX, (long)owner) >= 0 && owner[1] != 0) to.Part().Owner = new OwnerImage { Type = owner[0], Pid = owner[1], Signal = (int)Math.Max(0, Sys.Control(fd, F_GETSIG)) };
        Sys.Close(fd);
    }

    /// <summary>All processes exist.</summary>
    public static void Restore(int fd, OpenFileImage from)
    {
        if (from.Object?.Owner is { } owner)
        {
            int* who = stackalloc int[2];
            (who[0], who[1]) = (owner.Type, owner.Pid);
            Sys.Control(fd, F_SETOWN_EX, (long)who);
            Sys.Control(fd, F_SETSIG, owner.Signal);
        }
        if ((from.Flags & O_ASYNC) != 0) Sys.Control(fd, Sys.F_SETFL, Sys.Control(fd, Sys.F_GETFL) | O_ASYNC);
    }

    /// <summary>The part of a description that only some kinds have.</summary>
    public static ObjectImage Part(this OpenFileImage image) => image.Object ??= new ObjectImage();
}
