using System.Collections.Concurrent;
using NUnit.Framework;

namespace TreCr.Samples.Tests;

/// <summary>Whether the output of a disturbed run is that of one whole run.</summary>
internal static class SampleCheck
{
    private static readonly ConcurrentDictionary<string, string[]> s_undisturbed = new();

    /// <summary>One start, one nonce from begin to end, all launches counted once, and the result of an undisturbed run.</summary>
    public static void Whole(Sample sample, string[] output, Job job)
    {
        RunMark? begin = Sample.MarkOf(output, "begin"), end = Sample.MarkOf(output, "end");
        string[] undisturbed = Undisturbed(sample);
        string text = string.Join('\n', output.TakeLast(3));
        // Without Assert.Multiple: the soak runs outside of NUnit.
        Assert.That(end?.Nonce, Is.Not.Null.And.EqualTo(begin?.Nonce), $"nonce; {text}");
        Assert.That(end?.Starts, Is.EqualTo(1), text);
        Assert.That(job.Starts, Is.EqualTo(1), "start counter");
        Assert.That(end?.Launches, Is.EqualTo(sample.Launches), text);
        Assert.That(output.Where(l => l.StartsWith(sample.ResultLine)), Is.EqualTo(undisturbed.Where(l => l.StartsWith(sample.ResultLine))).And.Not.Empty);
        Assert.That(output, Does.Contain($"{sample.Name}: PASSED"));
    }

    /// <summary>The output of an undisturbed run under trecr; made once.</summary>
    public static string[] Undisturbed(Sample sample) => s_undisturbed.GetOrAdd($"{sample.Path} {string.Join(' ', sample.Arguments)}", _ =>
    {
        using Job job = new(sample);
        RunningProgram run = job.Run(held: false);
        int code = run.WaitForExit(Job.Limit);
        Assert.That(code, Is.Zero, run.Errors);
        return run.Output;
    });
}
