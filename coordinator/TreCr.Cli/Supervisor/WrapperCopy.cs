using System.Security.Cryptography;

namespace TreCr.Cli;

/// <summary>
/// The copy of the wrapper library that programs map: <c>STORE/wrappers/HASH/libcuda.so.1</c>. A program must find the same bytes at its restart, whatever has
/// been installed meanwhile, so it never maps the one of the installation (design.md §2).
/// </summary>
internal static class WrapperCopy
{
    /// <summary>Makes the copy where it is missing.</summary>
    /// <returns>its directory's name (the hash) and path; null where this installation has no wrapper</returns>
    public static (string Hash, string Directory)? Ensure(string store)
    {
        if (Installation.Wrapper is not { } source) return null;
        byte[] bytes = File.ReadAllBytes(source);
        string hash = Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16)), directory = DirectoryOf(store, hash), target = $"{directory}/libcuda.so.1";
        if (File.Exists(target) && new FileInfo(target).Length == bytes.Length) return (hash, directory);
        System.IO.Directory.CreateDirectory($"{store}/wrappers", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        System.IO.Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string temporary = $"{directory}/.tmp-{Environment.ProcessId}";
        using (FileStream file = new(temporary, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserExecute }))
        {
            file.Write(bytes);
            file.Flush(flushToDisk: true);
        }
        File.Move(temporary, target, overwrite: true);
        return (hash, directory);
    }

    public static string DirectoryOf(string store, string hash) => $"{store}/wrappers/{hash}";
}
