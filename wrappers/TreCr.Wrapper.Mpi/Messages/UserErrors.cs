namespace TreCr.Wrapper.Mpi;

/// <summary>Error classes and codes that the program has added: above those of its header. Source: MPI-3.1 §8.5.</summary>
internal static class UserErrors
{
    private static readonly List<int> s_classes = []; // of each code; a class is its own
    private static readonly Dictionary<int, string> s_texts = [];

    /// <summary>MPI_ERR_LASTCODE.</summary>
    private static int LastOfHeader => MpiAbi.IsMpich ? 0x3fffffff : 92;

    /// <summary>MPI_LASTUSEDCODE.</summary>
    public static int LastUsed => LastOfHeader + s_classes.Count;

    /// <param name="ofClass">0: a class of its own</param>
    public static int Add(int ofClass)
    {
        int code = LastUsed + 1;
        s_classes.Add(ofClass == 0 ? code : ofClass);
        return code;
    }

    public static bool IsOne(int code) => code > LastOfHeader && code <= LastUsed;

    /// <summary>The class of a code, the program's or one of the header, which are classes themselves.</summary>
    public static int ClassOf(int code) => IsOne(code) ? s_classes[code - LastOfHeader - 1] : code;

    public static void SetText(int code, string text) => s_texts[code] = text;

    /// <returns>null: none has been given</returns>
    public static string? TextOf(int code) => s_texts.GetValueOrDefault(code) ?? (IsOne(code) ? "" : null);
}
