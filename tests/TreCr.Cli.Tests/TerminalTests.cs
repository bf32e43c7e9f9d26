using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Jobs in terminals, with terminals of their own.</summary>
public sealed class TerminalTests
{
    /// <summary>Other programs have the number of the job's terminal: it is restarted in a devpts of its own, where no new terminal gets the number of the one that trecr gave it.</summary>
    [TestCase(false), TestCase(true)]
    public void Restart_WhereTheTerminalsNumberIsTaken(bool unprivileged)
    {
        if (!File.Exists("/usr/bin/python3")) Assert.Ignore("no /usr/bin/python3");
        using Workplace place = new(unprivileged);
        string script = $"{place.Root}/terminals.py"; // where an ordinary user can read it
        File.Copy(Path.Combine(Repository.Root, "tests/TreCr.Cli.Tests/Programs/terminals.py"), script);
        using RunningProgram driver = place.StartUnder(["/usr/bin/python3", script], [], $"{place.Root}/hold");
        Assert.That((driver.WaitForExit(Workplace.Limit), driver.Output.LastOrDefault()), Is.EqualTo((0, "done")), driver.Errors);
    }
}
