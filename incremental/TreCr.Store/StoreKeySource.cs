using System.Diagnostics;
using System.Text;
using TreCr.Linux;

namespace TreCr.Store;

/// <summary>Where the key of a store comes from: a file, the output of a command, or the environment. Never from arguments, which other users can see.</summary>
public static class StoreKeySource
{
    /// <summary>64 hexadecimal digits.</summary>
    public const string Variable = "TRECR_STORE_KEY";

    /// <summary>A file that only its owner can read, with 64 hexadecimal digits or 32 bytes.</summary>
    public const string FileVariable = "TRECR_STORE_KEY_FILE";

    /// <summary>A command for /bin/sh that prints 64 hexadecimal digits.</summary>
    public const string CommandVariable = "TRECR_STORE_KEY_COMMAND";

    /// <summary>What a new store is: <c>encrypt</c> (default), or <c>names</c>: keyed names only.</summary>
    public const string UseVariable = "TRECR_STORE_KEY_USE";

    private const int CommandTimeoutMs = 120_000;

    /// <summary>Whether a variable of the environment is about the key: programs that run under TreCr get none, so that none is in their images.</summary>
    public static bool IsAboutKey(string variable) => variable is Variable or FileVariable or CommandVariable or UseVariable;

    /// <summary>The environment of a process of ours that opens the same store: it gets the key itself, so that no command runs twice.</summary>
    /// <param name="environment">NAME=VALUE</param>
    /// <exception cref="StoreException">as <see cref="StoreKey.Ambient"/></exception>
    public static List<string> ForChild(IEnumerable<string> environment)
    {
        List<string> child = [.. environment.Where(e => !IsAboutKey(e.Split('=')[0]))];
        if (StoreKey.Ambient is { } key) child.Add($"{Variable}={Convert.ToHexStringLower(key.Secret)}");
        return child;
    }

    /// <returns>null: none is given</returns>
    /// <exception cref="StoreException">WrongKey: more than one, not to be read, or no key; the key itself is in no message</exception>
    internal static StoreKey? Read()
    {
        string[] given = [.. new[] { Variable, FileVariable, CommandVariable }.Where(v => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(v)))];
        if (given.Length == 0) return null;
        if (given.Length > 1) throw Bad($"{string.Join(" and ", given)} are given: one is wanted");
        string value = Environment.GetEnvironmentVariable(given[0])!;
        return given[0] switch
        {
            Variable => Parse(Encoding.UTF8.GetBytes(value), Variable),
            FileVariable => FromFile(value),
            _ => FromCommand(value),
        };
    }

    /// <summary>Reads a key file.</summary>
    /// <exception cref="StoreException">WrongKey: missing, readable by others, or no key</exception>
    public static StoreKey FromFile(string path)
    {
        long fd = Sys.TryOpen(path, Sys.O_RDONLY | Sys.O_CLOEXEC | Sys.O_NONBLOCK);
        if (fd < 0) throw Bad($"{FileVariable}: {path}: {Errno.Describe((int)-fd)}");
        try
        {
            FileFacts facts = Sys.Fstat((int)fd);
            if (facts.UserId != Sys.EffectiveUserId() && facts.UserId != 0) throw Bad($"{FileVariable}: {path}: belongs to user {facts.UserId}");
            if ((facts.Mode & Sys.S_IFMT) == Sys.S_IFREG && (facts.Mode & 0x3F) != 0) throw Bad($"{FileVariable}: {path}: others may read it (mode {Convert.ToString(facts.Mode & 0xFFF, 8)}); chmod 600 makes it private");
            using FileStream file = new(new Microsoft.Win32.SafeHandles.SafeFileHandle((nint)fd, ownsHandle: false), FileAccess.Read, 0);
            byte[] bytes = new byte[200];
            return Parse(bytes.AsSpan(0, file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)), path);
        }
        catch (IOException e) { throw Bad($"{FileVariable}: {path}: {e.Message}"); }
        finally { Sys.Close((int)fd); }
    }

    /// <summary>Reads 64 hexadecimal digits with white space around them, or exactly 32 bytes.</summary>
    /// <param name="what">names the source in messages</param>
    /// <exception cref="StoreException">WrongKey</exception>
    public static StoreKey Parse(ReadOnlySpan<byte> bytes, string what)
    {
        if (bytes.Length == StoreKey.LengthBytes) return StoreKey.FromBytes(bytes);
        string text = Encoding.Latin1.GetString(bytes).Trim();
        if (text.Length == 2 * StoreKey.LengthBytes && text.All(char.IsAsciiHexDigit)) return StoreKey.FromBytes(Convert.FromHexString(text));
        throw Bad($"{what}: no key: wants 64 hexadecimal digits (`openssl rand -hex 32` makes some), or a file of 32 bytes");
    }

    private static StoreKey FromCommand(string command)
    {
        try
        {
            ProcessStartInfo start = new("/bin/sh") { RedirectStandardOutput = true, UseShellExecute = false };
            start.ArgumentList.Add("-c");
            start.ArgumentList.Add(command);
            using Process process = Process.Start(start)!;
            MemoryStream output = new();
            Task copied = process.StandardOutput.BaseStream.CopyToAsync(output);
            if (!process.WaitForExit(CommandTimeoutMs) || !copied.Wait(1000))
            {
                process.Kill(entireProcessTree: true);
                throw Bad($"{CommandVariable}: the command has not ended after {CommandTimeoutMs / 1000} s");
            }
            if (process.ExitCode != 0) throw Bad($"{CommandVariable}: the command ended with {process.ExitCode}");
            return Parse(output.ToArray(), CommandVariable);
        }
        catch (System.ComponentModel.Win32Exception e) { throw Bad($"{CommandVariable}: {e.Message}"); }
    }

    private static StoreException Bad(string what) => new(StoreErrorKind.WrongKey, what);
}
