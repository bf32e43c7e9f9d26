using System.Collections.Concurrent;

namespace TreCr.Delegator;

/// <summary>Lines on stderr, each kind once.</summary>
internal static class Messages
{
    private static readonly ConcurrentDictionary<string, byte> s_said = new();

    /// <summary>Writes a line that begins <c>trecr: delegator: </c>.</summary>
    public static void Say(string text) => Console.Error.WriteLine("trecr: delegator: " + text);

    /// <summary>Writes a line the first time only.</summary>
    public static void SayOnce(string text)
    {
        if (s_said.TryAdd(text, 0)) Say(text);
    }
}
