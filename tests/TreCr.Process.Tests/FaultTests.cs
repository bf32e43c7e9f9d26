namespace TreCr.Process.Tests;

/// <summary>The engine dies, or a step fails, at each point of dump and restore. The program runs on, or nothing of it is left and the image restores.</summary>
[TestFixture, Parallelizable(ParallelScope.Self)]
public sealed class FaultTests
{
    [TestCase("threads"), TestCase("blocking")]
    public void EngineDiesInDump(string program)
        => Runner.Run("dumpfault:DumpFrozen:kill dumpfault:DumpInjectEntry:kill dumpfault:DumpInjectExit:kill dumpfault:DumpInjectEntry:3:kill dumpfault:DumpInjectExit:70:kill "
            + "dumpfault:DumpInjectEntry:100:kill dumpfault:DumpState:kill dumpfault:DumpMemory:kill dumpfault:DumpCaptured:kill dumpfault:DumpDetach:kill", [Runner.Program(program)]).Expect(0).ExpectSameRun();

    [TestCase("threads"), TestCase("blocking")]
    public void StepOfDumpFails(string program)
        => Runner.Run("dumpfault:DumpInjectEntry:errno dumpfault:DumpInjectExit:errno dumpfault:DumpInjectExit:70:errno dumpfault:DumpState:errno dumpfault:DumpMemory:errno "
            + "dumpfault:DumpCaptured:errno", [Runner.Program(program)]).Expect(0).ExpectSameRun();

    [TestCase(false), TestCase(true)]
    public void EngineDiesInDumpOfTree(bool unprivileged)
        => Runner.Run("dumpfault:DumpFrozen:kill dumpfault:DumpInjectEntry:300:kill dumpfault:DumpInjectExit:570:kill dumpfault:DumpState:kill dumpfault:DumpMemory:3:kill dumpfault:DumpDetach:kill "
            + "dumpfault:DumpDetach:5:kill dumpfault:DumpInjectExit:300:errno dumpfault:DumpState:errno dumpfault:DumpMemory:4:errno", [Runner.Program("tree")], unprivileged).Expect(0).ExpectSameRun();

    /// <summary>
    /// While init has the contents of terminals and message queues in its hands, or has changed buffers of a connection: every byte is back before the program looks.
    /// </summary>
    [TestCase("terminal", false, "Asked:kill Taken:kill Asked:2:kill Taken:2:kill Taken:2:errno Asked:errno Taken:errno"), TestCase("terminal", true, "Taken:kill Taken:2:kill")]
    [TestCase("ipc", false, "Taken:kill"), TestCase("ipc", true, "Asked:kill Taken:kill Asked:errno Taken:errno Taken:kill")]
    [TestCase("tcp", false, "Taken:2:kill"), TestCase("tcp", true, "Asked:kill"), TestCase("tcp", true, "Taken:kill"), TestCase("tcp", true, "Taken:errno")] // afterwards nothing waits at a writer any more
    public void EngineDiesInReadout(string name, bool unprivileged, string faults)
    {
        const string Python = "/usr/bin/python3";
        if (!File.Exists(Python)) Assert.Ignore("no /usr/bin/python3");
        string scenario = string.Join(' ', faults.Split(' ').Select(f => "dumpfault:DumpReadout" + f)) + " cycle:1";
        Outcome outcome;
        lock (Runner.Ports) outcome = Runner.Run(scenario, [Python, Runner.Source("objects.py"), name], unprivileged).Expect(0).ExpectSameRun();
        Assert.That(outcome.Output, Does.Not.Contain("fault not reached"));
    }

    [TestCase(false), TestCase(true)]
    public void EngineDiesInRestoreOfTree(bool unprivileged)
        => Runner.Run("restorefault:RestoreSkeleton:kill restorefault:RestoreMapped:4:kill restorefault:RestoreFilled:2:kill restorefault:RestoreThreads:5:kill restorefault:RestoreComplete:kill "
            + "restorefault:RestoreDetach:kill restorefault:RestoreDetach:2:kill restorefault:RestoreSkeleton:errno restorefault:RestoreMapped:3:errno restorefault:RestoreComplete:errno restorefault:RestoreDetach:errno",
            [Runner.Program("tree")], unprivileged).Expect(0).ExpectSameRun();

    [TestCase("threads", false), TestCase("blocking", true)]
    public void EngineDiesInRestore(string program, bool unprivileged)
        => Runner.Run("restorefault:RestoreStart:kill restorefault:RestoreSkeleton:kill restorefault:RestoreMapped:kill restorefault:RestoreFilled:kill restorefault:RestoreThreads:kill "
            + "restorefault:RestoreComplete:kill restorefault:RestoreDetach:kill restorefault:RestoreDetach:2:kill", [Runner.Program(program)], unprivileged).Expect(0).ExpectSameRun();

    [TestCase("threads")]
    public void StepOfRestoreFails(string program)
        => Runner.Run("restorefault:RestoreStart:errno restorefault:RestoreSkeleton:errno restorefault:RestoreMapped:errno restorefault:RestoreFilled:errno restorefault:RestoreThreads:errno "
            + "restorefault:RestoreComplete:errno restorefault:RestoreDetach:errno", [Runner.Program(program)]).Expect(0).ExpectSameRun();
}
