namespace TreCr.Calls.Generator.Tests;

/// <summary>The checkout that the tests were built from.</summary>
internal static class SourceTree
{
    /// <summary>TRECR_UPDATE=1: committed expectations are rewritten.</summary>
    public static bool Update => Environment.GetEnvironmentVariable("TRECR_UPDATE") == "1";

    public static string Root
    {
        get
        {
            DirectoryInfo? at = new(AppContext.BaseDirectory);
            while (at != null && !File.Exists(Path.Combine(at.FullName, "TreCr.sln"))) at = at.Parent;
            return at?.FullName ?? throw new InvalidOperationException("TreCr.sln is above no parent of the test");
        }
    }
}
