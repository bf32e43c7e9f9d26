using System.Diagnostics;
using NUnit.Framework;

namespace TreCr.Wrapper.Tests;

/// <summary>The published library and C programs that use it.</summary>
internal static class Wrapper
{
    private static string Root
    {
        get
        {
            DirectoryInfo? at = new(AppContext.BaseDirectory);
            while (at != null && !File.Exists(Path.Combine(at.FullName, "TreCr.sln"))) at = at.Parent;
            return at!.FullName;
        }
    }

    /// <summary>A folder in which the library stands under its soname; the test is skipped where nobody has published it.</summary>
    public static string Folder()
    {
        string built = Path.Combine(Root, "out/lib");
        if (File.Exists(Path.Combine(built, "libcuda.so.1")) && Environment.GetEnvironmentVariable("TRECR_WRAPPER_FROM_PUBLISH") != "1") return built;
        string[] published = Directory.Exists(Path.Combine(Root, "artifacts/publish/TreCr.Wrapper"))
            ? Directory.GetFiles(Path.Combine(Root, "artifacts/publish/TreCr.Wrapper"), "libtrecr-wrapper.so", SearchOption.AllDirectories) : [];
        if (published.Length == 0) Assert.Ignore("the wrapper library is not published (./build.sh does it)");
        string folder = Path.Combine(AppContext.BaseDirectory, "lib");
        Directory.CreateDirectory(folder);
        string link = Path.Combine(folder, "libcuda.so.1");
        File.Delete(link);
        File.CreateSymbolicLink(link, published[0]);
        return folder;
    }

    /// <summary>Compiles Programs/NAME.c.</summary>
    public static string Compile(string name, string arguments = "")
    {
        string source = Path.Combine(AppContext.BaseDirectory, "Programs", name + ".c"), program = Path.Combine(AppContext.BaseDirectory, "Programs", name);
        (int code, string output) = Run("gcc", $"-O1 -w -pthread -o {program} {source} {arguments} -ldl", []);
        Assert.That(code, Is.Zero, output);
        return program;
    }

    /// <summary>Runs a program with the wrapper first on the library path.</summary>
    /// <param name="session">socket of the delegator; empty: none</param>
    /// <returns>exit code (128 + n for a signal) and both outputs together</returns>
    public static (int Code, string Output) RunWith(string program, string session, string arguments = "")
        => Run(program, arguments, session.Length == 0 ? [("LD_LIBRARY_PATH", Folder())] : [("LD_LIBRARY_PATH", Folder()), ("TRECR_SESSION", session)]);

    private static (int Code, string Output) Run(string program, string arguments, (string Name, string Value)[] environment)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment.Remove("TRECR_SESSION");
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        if (!process.WaitForExit(180_000))
        {
            process.Kill();
            Assert.Fail($"{program} hangs; output so far: {(output.Wait(1000) ? output.Result : "")}");
        }
        return (process.ExitCode, output.Result + error.Result);
    }
}
