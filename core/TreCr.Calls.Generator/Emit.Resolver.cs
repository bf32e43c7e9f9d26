using System.Text;
using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>The table behind cuGetProcAddress, and stubs for the names that nothing implements.</summary>
internal static partial class Emit
{
    public static string Resolver(ResolverModel model, IReadOnlyList<NameRow> names, IReadOnlyList<ExportModel> exports)
    {
        CodeWriter w = CodeWriter.File("Names of " + model.File + ": resolver table and stubs that answer NOT_SUPPORTED by name.");
        w.Namespace(model.Namespace);
        Dictionary<string, ExportModel> known = [];
        foreach (ExportModel export in exports) known[export.EntryPoint] = export;
        string[] symbols = [.. names.Select(n => n.Symbol).Concat(names.Select(n => n.PerThread)).Where(s => s != "-").Distinct().OrderBy(s => s, StringComparer.Ordinal)];
        string[] missing = [.. symbols.Where(s => !known.ContainsKey(s))];
        NameRow[] rows = [.. names.OrderBy(n => n.Name, StringComparer.Ordinal).ThenBy(n => n.Version)];
        w.Open("unsafe partial class " + model.ClassName);
        w.Line($"/// <summary>Rows, ordered by name (ordinal) and version.</summary>").Line($"internal const int RowCount = {rows.Length};").Line();
        w.Line("/// <summary>Stubs without an implementation; also the bound of the indexes given to Unsupported.Answer.</summary>").Line($"internal const int MissingCount = {missing.Length};").Line();
        StringBuilder text = new();
        List<int> offsets = [];
        foreach (NameRow row in rows)
        {
            offsets.Add(text.Length);
            text.Append(row.Name).Append('\0');
        }
        w.Line("/// <summary>Names of the rows, each with a NUL.</summary>");
        w.Line("internal static global::System.ReadOnlySpan<byte> Names => \"" + text.ToString().Replace("\0", "\\0") + "\"u8;").Line();
        w.Line("/// <summary>Where the name of a row begins.</summary>");
        w.Line("internal static global::System.ReadOnlySpan<ushort> Offsets => [" + string.Join(", ", offsets) + "];").Line();
        w.Line("/// <summary>First version of a row, 1000 * major + 10 * minor.</summary>");
        w.Line("internal static global::System.ReadOnlySpan<ushort> Versions => [" + string.Join(", ", rows.Select(r => r.Version)) + "];").Line();
        w.Line("/// <summary>Addresses of the rows; perThread is null where a name has no variant of its own.</summary>");
        w.Open("internal static void Fill(void** normal, void** perThread)");
        for (int i = 0; i < rows.Length; i++)
        {
            w.Line($"normal[{i}] = {Address(rows[i].Symbol)};");
            w.Line($"perThread[{i}] = {(rows[i].PerThread == "-" ? "null" : Address(rows[i].PerThread))};");
        }
        w.Close().Line();
        for (int i = 0; i < missing.Length; i++)
        {
            w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{missing[i]}\")]");
            w.Line($"private static {CUresult} Missing_{missing[i]}() => {Runtime}Unsupported.Answer({i}, \"{missing[i]}\"u8);").Line();
        }
        w.Line("/// <summary>Text of SUPPORTED.md.</summary>");
        w.Line("public const string SupportedText = " + CodeWriter.Quote(Supported(rows, known)) + ";");
        w.Close();
        return w.ToString();

        string Address(string symbol) => known.TryGetValue(symbol, out ExportModel? export) ? $"({export.Pointer})&{export.Path}"
            : $"(delegate* unmanaged<{CUresult}>)&Missing_{symbol}";
    }

    private static string Supported(NameRow[] rows, Dictionary<string, ExportModel> known)
    {
        string[] names = [.. rows.Select(r => r.Name).Distinct()];
        string[] works = [.. names.Where(n => rows.Any(r => r.Name == n && known.ContainsKey(r.Symbol)))];
        StringBuilder text = new("# Driver API functions\n\nGenerated from the declarations in core/TreCr.Calls/Cuda and wrappers/TreCr.Wrapper.Cuda; `TRECR_UPDATE=1 ./build.sh test Wrapper` rewrites it. A name counts once, whatever its versions and per-thread variants. Proved: a named case fails when the function is replaced by \"return success, do nothing\" (docs/results/soak-stubs.md).\n");
        text.Append($"\n## Implemented ({works.Length} of {names.Length})\n\n");
        foreach (string name in works)
        {
            string[] without = [.. rows.Where(r => r.Name == name && !known.ContainsKey(r.Symbol)).Select(r => r.Symbol)];
            text.Append("- ").Append(name).Append(without.Length == 0 ? "" : " (not: " + string.Join(", ", without) + ")").Append('\n');
        }
        text.Append("\n## Answer CUDA_ERROR_NOT_SUPPORTED and name themselves once on stderr\n\n");
        text.Append(string.Join(", ", names.Except(works))).Append('\n');
        return text.ToString();
    }
}
