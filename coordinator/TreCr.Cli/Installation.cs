using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>Where the parts of TreCr are: beside this program, or in TRECR_HOME.</summary>
internal static class Installation
{
    /// <summary>The directory that holds trecr, trecr-init, lib/ and delegator/.</summary>
    public static string Home { get; } = Environment.GetEnvironmentVariable("TRECR_HOME") is { Length: > 0 } home
        ? Path.GetFullPath(home) : Path.GetDirectoryName(Sys.ReadLink("/proc/self/exe")) ?? "/";

    /// <summary>This program.</summary>
    public static string Trecr => Sys.ReadLink("/proc/self/exe") ?? throw new TrecrException(TrecrError.Installation, "cannot find the trecr program itself: /proc/self/exe cannot be read");

    public static string Init => Need($"{Home}/trecr-init");
    public static string Delegator => Need($"{Home}/delegator/trecr-delegator");

    /// <summary>The wrapper library; null where this installation has none (programs then run without CUDA).</summary>
    public static string? Wrapper => File.Exists($"{Home}/lib/libcuda.so.1") ? $"{Home}/lib/libcuda.so.1" : null;

    private static string Need(string path)
        => File.Exists(path) ? path : throw new TrecrException(TrecrError.Installation, $"a part of TreCr is missing: {path}");

    /// <summary>The store that the arguments or the environment name.</summary>
    public static string Store(Arguments arguments)
    {
        string path = arguments.Value("--store") ?? NotEmpty("TRECR_STORE") ?? (NotEmpty("XDG_DATA_HOME") is { } data && data[0] == '/' ? $"{data}/trecr"
            : NotEmpty("HOME") is { } home ? $"{home}/.local/share/trecr" : throw new TrecrException(TrecrError.Usage, "no store: neither --store, TRECR_STORE nor HOME is set"));
        return Path.GetFullPath(path);
    }

    private static string? NotEmpty(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
