namespace TreCr.Control;

/// <summary>How often, and how soon, a job that failed is restarted by itself: so many times without a new checkpoint in between, each time after twice as long.</summary>
public static class RestartBudget
{
    private const int FirstDelayMs = 1_000, LongestDelayMs = 60_000;

    /// <summary>Signals by which somebody ends a program on purpose (HUP, INT, QUIT, TERM): no failure.</summary>
    public static bool IsOnPurpose(int signal) => signal is 1 or 2 or 3 or 15;

    /// <summary>The job has failed.</summary>
    /// <param name="most">restarts without a new checkpoint</param><param name="left">of them</param><param name="advanced">a checkpoint was committed since it began to run</param>
    /// <returns>what is left then, and how long to wait, ms; null: nothing is left</returns>
    public static (int Left, int DelayMs)? Next(int most, int left, bool advanced)
    {
        if (advanced) left = most;
        if (left <= 0) return null;
        return (left - 1, (int)Math.Min(LongestDelayMs, (long)FirstDelayMs << Math.Min(20, most - left)));
    }
}
