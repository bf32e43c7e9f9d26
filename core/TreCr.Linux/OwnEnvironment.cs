using System.Collections;

namespace TreCr.Linux;

/// <summary>This process's environment as execve(2) wants it.</summary>
public static class OwnEnvironment
{
    /// <summary>NAME=VALUE strings.</summary>
    /// <param name="without">names that are left out</param>
    public static IEnumerable<string> Words(Func<string, bool>? without = null)
        => Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Where(e => without is null || !without((string)e.Key)).Select(e => $"{e.Key}={e.Value}");
}
