namespace TreCr.Store.Tiers;

/// <summary>How lost units come from those that are there: made by <see cref="ErasureCode.Rebuild"/>. Immutable; any thread.</summary>
public sealed class ErasureRecipe
{
    private readonly ErasureCode.Rows _rows;

    internal ErasureRecipe(ErasureCode.Rows rows) => _rows = rows;

    /// <param name="present">[k], in the order that the recipe was made for</param><param name="wanted">written</param>
    public void Apply(ReadOnlySpan<nint> present, ReadOnlySpan<nint> wanted, int lengthBytes) => ErasureCode.Apply(_rows, present, wanted, lengthBytes);
}
