using System.Buffers;

namespace TreCr.Store;

/// <summary>Rules for the names of parts, records and jobs.</summary>
internal static class PartName
{
    internal const int MaxRecordBytes = 64 << 20;
    private static readonly SearchValues<char> PartCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789._-");
    private static readonly SearchValues<char> JobCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    internal static bool IsValid(ReadOnlySpan<char> name) => name.Length is >= 1 and <= 100 && !name.ContainsAnyExcept(PartCharacters);

    /// <summary>1 to 64 characters of [A-Za-z0-9._-]; not with a dot or a minus in front, so that it is neither hidden nor an option.</summary>
    internal static bool IsValidJob(ReadOnlySpan<char> name) => name.Length is >= 1 and <= 64 && name[0] is not ('.' or '-') && !name.ContainsAnyExcept(JobCharacters);
}
