namespace TreCr.Cli;

/// <summary>When hooks run (docs/hooks.md).</summary>
internal enum HookEvent
{
    /// <summary>The program runs, nothing of the checkpoint is done yet. A failure makes it fail.</summary>
    BeforeCheckpoint,

    /// <summary>The program runs on, or was ended; the checkpoint is committed or has failed.</summary>
    AfterCheckpoint,

    /// <summary>The program is complete and has not run yet.</summary>
    AfterRestart,
}
