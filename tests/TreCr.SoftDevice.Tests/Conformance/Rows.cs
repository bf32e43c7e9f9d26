namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>All rows, by form.</summary>
static class Rows
{
    public static IReadOnlyList<InstructionRow> All { get; } = [.. IntegerRows.All().Concat(FloatRows.All()).Concat(MemoryRows.All()).Concat(ControlRows.All()).Concat(MatrixRows.All()).Concat(WmmaRows.All()).Concat(BarrierRows.All()).DistinctBy(r => r.Form)];
}
