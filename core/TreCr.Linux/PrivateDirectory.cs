namespace TreCr.Linux;

/// <summary>This user's private directory for sockets, locks and logs: $XDG_RUNTIME_DIR/trecr where that is a directory of this user, else /tmp/trecr-UID. 0700, never through a link, never another user's.</summary>
public static class PrivateDirectory
{
    /// <summary>Makes it where it is not there.</summary>
    /// <returns>absolute path</returns>
    /// <exception cref="IOException">it belongs to another user, is open to others, or cannot be made</exception>
    public static string Open()
    {
        uint uid = Sys.EffectiveUserId();
        string? xdg = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
        string path = !string.IsNullOrEmpty(xdg) && xdg[0] == '/' && xdg.Length < 60 && IsOwn(xdg, uid) ? $"{xdg}/trecr" : $"/tmp/trecr-{uid}";
        Sys.MakeDirectoryAt(Sys.AT_FDCWD, path, 0x1C0);
        long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_NOFOLLOW | Sys.O_CLOEXEC);
        if (fd < 0) throw new IOException($"cannot use the runtime directory {path}: {Errno.Describe((int)-fd)}");
        try
        {
            if (WhyNot((int)fd) is { } problem) throw new IOException($"cannot use the runtime directory {path}: {problem}");
        }
        finally { Sys.Close((int)fd); }
        return path;
    }

    /// <summary>Why an open directory is not this user's alone.</summary>
    /// <returns>null: it is</returns>
    public static string? WhyNot(int descriptor)
    {
        FileFacts facts = Sys.Fstat(descriptor);
        return facts.UserId != Sys.EffectiveUserId() ? $"it belongs to user {facts.UserId}"
            : (facts.Mode & 0x3F) != 0 ? $"others may enter it (mode {Convert.ToString(facts.Mode & 0x1FF, 8)})" : null;
    }

    private static bool IsOwn(string path, uint uid)
    {
        long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        if (fd < 0) return false;
        try { return Sys.Fstat((int)fd).UserId == uid; }
        finally { Sys.Close((int)fd); }
    }
}
