namespace TreCr.SoftDevice.Cache;

/// <summary>Where compiled kernels are kept from one start to the next, and who compiles them.</summary>
/// <param name="Directory">absolute</param>
/// <param name="LimitBytes">what was not used for longest goes when there is more</param>
/// <param name="Compile">words of a command that runs <see cref="ImageCompiler"/> for the directory and ends by itself; empty: nobody does</param>
public sealed record KernelCacheSettings(string Directory, long LimitBytes, IReadOnlyList<string> Compile)
{
    /// <summary>somebody has named the directory, and wants to hear where it cannot be used</summary>
    public bool IsNamed { get; init; }

    /// <summary>0: nothing is kept; an absolute path: the directory.</summary>
    public const string DirectoryVariable = "TRECR_KERNEL_CACHE";
    /// <summary>MiB that are kept at most.</summary>
    public const string LimitVariable = "TRECR_KERNEL_CACHE_MB";
    const long UsualLimitMb = 512;

    /// <summary>What the environment says; else a directory of the user's cache directory (XDG Base Directory Specification).</summary>
    /// <param name="compile">the command for a directory</param>
    /// <returns>null: nothing is to be kept, or there is no place for it</returns>
    public static KernelCacheSettings? FromEnvironment(Func<string, IReadOnlyList<string>> compile)
    {
        string? wanted = Environment.GetEnvironmentVariable(DirectoryVariable), xdg = Environment.GetEnvironmentVariable("XDG_CACHE_HOME"), home = Environment.GetEnvironmentVariable("HOME");
        string? directory = wanted is "0" ? null : IsPath(wanted) ? wanted : IsPath(xdg) ? $"{xdg}/trecr/kernels" : IsPath(home) ? $"{home}/.cache/trecr/kernels" : null;
        return directory is null ? null : new(directory, LimitFromEnvironment, compile(directory)) { IsNamed = directory == wanted };
    }

    /// <summary>bytes</summary>
    public static long LimitFromEnvironment => (long.TryParse(Environment.GetEnvironmentVariable(LimitVariable), out long mb) && mb is >= 0 and < 1 << 30 ? mb : UsualLimitMb) << 20;

    static bool IsPath(string? path) => path is { Length: > 0 } && path[0] == '/';
}
