using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;

namespace TreCr.Linux.Tests;

/// <summary>Asks the C compiler what the system's headers say.</summary>
internal static class Headers
{
    private const string Includes = """
        #define _GNU_SOURCE
        #include <stdio.h>
        #include <stddef.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <poll.h>
        #include <sched.h>
        #include <signal.h>
        #include <time.h>
        #include <unistd.h>
        #include <elf.h>
        #include <linux/ptrace.h>
        #include <sys/file.h>
        #include <sys/mman.h>
        #include <sys/socket.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <sys/uio.h>
        #include <sys/user.h>
        #include <sys/vfs.h>
        #include <sys/wait.h>
        """;

    /// <summary>Values of C expressions of integer type.</summary>
    /// <param name="expressions">name, expression; a name that is a macro's is left out where the headers do not have it</param>
    public static Dictionary<string, long> Values(IEnumerable<(string Name, string Expression)> expressions)
    {
        List<string> lines = [Includes, "int main(void) {"];
        foreach ((string name, string expression) in expressions)
        {
            bool macro = name == expression;
            if (macro) lines.Add($"#ifdef {name}");
            lines.Add($"printf(\"{name} %lld\\n\", (long long)({expression}));");
            if (macro) lines.Add("#endif");
        }
        lines.Add("return 0; }\n");
        string directory = Directory.CreateTempSubdirectory("trecr-headers-").FullName;
        try
        {
            File.WriteAllLines($"{directory}/ask.c", lines);
            Run("gcc", "-w", "-o", $"{directory}/ask", $"{directory}/ask.c");
            return Run($"{directory}/ask").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split(' ')).ToDictionary(f => f[0], f => long.Parse(f[1], CultureInfo.InvariantCulture));
        }
        finally { Directory.Delete(directory, true); }
    }

    private static string Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd(), errors = process.StandardError.ReadToEnd();
        Assert.That(process.WaitForExit(60_000), $"{program} hangs");
        Assert.That(process.ExitCode, Is.Zero, errors);
        return output;
    }
}
