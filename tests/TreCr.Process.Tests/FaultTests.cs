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

    [TestCase("threads", false), TestCase("blocking", true)]
    public void EngineDiesInRestore(string program, bool unprivileged)
        => Runner.Run("restorefault:RestoreStart:kill restorefault:RestoreSkeleton:kill restorefault:RestoreMapped:kill restorefault:RestoreFilled:kill restorefault:RestoreThreads:kill "
            + "restorefault:RestoreComplete:kill restorefault:RestoreDetach:kill restorefault:RestoreDetach:2:kill", [Runner.Program(program)], unprivileged).Expect(0).ExpectSameRun();

    [TestCase("threads")]
    public void StepOfRestoreFails(string program)
        => Runner.Run("restorefault:RestoreStart:errno restorefault:RestoreSkeleton:errno restorefault:RestoreMapped:errno restorefault:RestoreFilled:errno restorefault:RestoreThreads:errno "
            + "restorefault:RestoreComplete:errno restorefault:RestoreDetach:errno", [Runner.Program(program)]).Expect(0).ExpectSameRun();
}
