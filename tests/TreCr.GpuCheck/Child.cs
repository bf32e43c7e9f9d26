using System.Diagnostics;
using System.Text.Json;
using TreCr.Linux;

namespace TreCr.GpuCheck;

/// <summary>One check in a process of its own, which is killed at its deadline: the driver can hang, this program must not.</summary>
internal static class Child
{
    private const int ADDR_NO_RANDOMIZE = 0x0040000;

    /// <summary>Runs this program with other arguments, as the supervisor starts delegators: without address randomisation. Any thread; blocks.</summary>
    /// <returns>its report; or one that holds only <c>pass</c> false and <c>error</c></returns>
    public static JsonElement Run(TimeSpan deadline, params string[] arguments)
    {
        try
        {
            // Inherited from the thread that forks; where it is not allowed the child reports "randomised".
            Sys.Raw(SyscallNumber.Personality, ADDR_NO_RANDOMIZE);
            ProcessStartInfo start = new(Environment.ProcessPath!, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(deadline))
            {
                process.Kill();
                return Failed($"not finished after {deadline.TotalSeconds:0} s");
            }
            // A descendant could hold the pipes open: no wait without an end.
            if (!Task.WaitAll([output, errors], 2000)) return Failed("its output did not end");
            string line = output.Result.Trim();
            try
            {
                using JsonDocument document = JsonDocument.Parse(line);
                return document.RootElement.Clone();
            }
            catch (JsonException)
            {
                return Failed($"ended with exit code {process.ExitCode} and no report; stdout: {Short(line)}; stderr: {Short(errors.Result.Trim())}");
            }
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception or IOException)
        {
            return Failed($"cannot be run: {e.Message}");
        }
    }

    private static string Short(string text) => text.Length <= 600 ? text : text[..600] + "…";

    private static JsonElement Failed(string error)
    {
        Findings findings = new();
        findings.Fail(error);
        using JsonDocument document = JsonDocument.Parse(findings.ToJson());
        return document.RootElement.Clone();
    }
}
