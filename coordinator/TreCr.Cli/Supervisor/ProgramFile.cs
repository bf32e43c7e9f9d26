using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>Finds the file that a command names, and looks at what it is.</summary>
internal static class ProgramFile
{
    /// <summary>Searches PATH as execvp(3) does.</summary>
    /// <exception cref="TrecrException">NoSuchProgram, NotExecutable</exception>
    public static string Find(string command)
    {
        if (command.Contains('/')) return Check(command) is { } why ? throw why : command;
        TrecrException? denied = null;
        foreach (string directory in (Environment.GetEnvironmentVariable("PATH") ?? "/usr/local/bin:/usr/bin:/bin").Split(':'))
        {
            string path = directory.Length == 0 ? $"./{command}" : $"{directory}/{command}";
            switch (Check(path))
            {
                case null: return path;
                case { } e when e.Error == TrecrError.NotExecutable && File.Exists(path): denied ??= e; break;
            }
        }
        throw denied ?? new TrecrException(TrecrError.NoSuchProgram, $"cannot run {command}: not found in PATH");
    }

    private static TrecrException? Check(string path)
    {
        if (Directory.Exists(path)) return new TrecrException(TrecrError.NotExecutable, $"cannot run {path}: it is a directory");
        if (!File.Exists(path)) return new TrecrException(TrecrError.NoSuchProgram, $"cannot run {path}: no such file");
        return Sys.CanExecute(path) ? null : new TrecrException(TrecrError.NotExecutable, $"cannot run {path}: not executable");
    }

    /// <summary>
    /// Whether it is an ELF program without PT_INTERP: no library of ours can be loaded into it. False for scripts and what cannot be read.
    /// </summary>
    public static bool IsStatic(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            byte[] header = new byte[64];
            if (file.ReadAtLeast(header, 64, throwOnEndOfStream: false) < 64 || !header.AsSpan(0, 4).SequenceEqual("\u007fELF"u8) || header[4] != 2) return false;
            long table = BitConverter.ToInt64(header, 32);
            int entryBytes = BitConverter.ToUInt16(header, 54), count = BitConverter.ToUInt16(header, 56);
            byte[] entry = new byte[4];
            for (int i = 0; i < count; i++)
            {
                file.Position = table + (long)i * entryBytes;
                if (file.ReadAtLeast(entry, 4, throwOnEndOfStream: false) < 4) return false;
                if (BitConverter.ToInt32(entry) == 3) return false; // PT_INTERP
            }
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return false; }
    }

    /// <summary>Whether an MPI library is among the names that stand in the file, as it does in every program that is linked with one. Programs that load it later are known by their launcher.</summary>
    public static bool NeedsMpi(string path)
    {
        const int PieceBytes = 1 << 20, LongestBytes = 64 << 20, Overlap = 16;
        try
        {
            using FileStream file = File.OpenRead(path);
            byte[] piece = new byte[PieceBytes + Overlap];
            int kept = 0;
            for (long at = 0; at < LongestBytes;)
            {
                int n = file.Read(piece, kept, PieceBytes);
                if (n <= 0) return false;
                if (at == 0 && !piece.AsSpan(0, Math.Min(4, n)).SequenceEqual("\u007fELF"u8)) return false;
                ReadOnlySpan<byte> seen = piece.AsSpan(0, kept + n);
                if (seen.IndexOf("libmpi.so."u8) >= 0 || seen.IndexOf("libmpich.so."u8) >= 0) return true;
                kept = Math.Min(Overlap, seen.Length);
                seen[^kept..].CopyTo(piece);
                at += n;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        return false;
    }
}
