namespace TreCr.Process.Tests;

/// <summary>The engine dies, or a step fails, at each point of dump and restore. The program runs on, or nothing of it is left and the image restores.</summary>
[TestFixture, Parallelizable(ParallelScope.None)]
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
