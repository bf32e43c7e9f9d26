namespace TreCr.Wrapper.Mpi;

/// <summary>The representation external32 of data in files and messages: highest byte first, IEEE numbers, the same sizes on all machines. Source: MPI-3.1 §13.5.2, table 13.2.</summary>
internal static class External32
{
    public const string Name = "external32";

    /// <summary>Of a named type.</summary>
    public static ExternalForm[] FormsOf(string name, int size, Element element) => (name, element) switch
    {
        ("MPI_LONG", _) => [ExternalForm.Long],
        ("MPI_UNSIGNED_LONG", _) => [ExternalForm.UnsignedLong],
        ("MPI_WCHAR", _) => [ExternalForm.WideCharacter],
        (_, Element.F80) => [ExternalForm.LongDouble],
        (_, Element.C160) => [ExternalForm.LongDouble, ExternalForm.LongDouble],
        (_, Element.C64 or Element.C128 or Element.C256) => [Turned(size / 2), Turned(size / 2)],
        (_, Element.TwoInt or Element.TwoFloat or Element.TwoDouble) => [Turned(size / 2), Turned(size / 2)],
        (_, Element.LongInt) => [ExternalForm.Long, ExternalForm.Turned4],
        (_, Element.LongDoubleInt) => [ExternalForm.LongDouble, ExternalForm.Turned4],
        (_, Element.FloatInt or Element.DoubleInt or Element.ShortInt) => [Turned(size - sizeof(int)), ExternalForm.Turned4],
        _ when size == 0 => [],
        _ => [Turned(size)],
    };

    private static ExternalForm Turned(int bytes) => bytes switch { 1 => ExternalForm.Byte, 2 => ExternalForm.Turned2, 4 => ExternalForm.Turned4, 8 => ExternalForm.Turned8, _ => ExternalForm.Turned16 };

    public static int BytesOf(ExternalForm form) => form switch
    {
        ExternalForm.Byte => 1, ExternalForm.Turned2 or ExternalForm.WideCharacter => 2, ExternalForm.Turned8 => 8, ExternalForm.Turned16 or ExternalForm.LongDouble => 16, _ => 4,
    };

    public static int BytesInMemory(ExternalForm form) => form switch
    {
        ExternalForm.Long or ExternalForm.UnsignedLong => sizeof(long), ExternalForm.WideCharacter => 4, _ => BytesOf(form),
    };

    /// <summary>Bytes of an item's data.</summary>
    public static long SizeOf(Datatype type) => type.Forms.Length > 0 ? type.Forms.Sum(BytesOf) : type.Parts.Sum(p => p.Count * SizeOf(p.Type));

    /// <summary>What a type covers of a file: distances that were given in items are those between items of the file, those given in bytes stay as they are.</summary>
    /// <remarks>Source: MPI-3.1 §13.5.1. A type that was made of distances in bytes for memory has to be made anew for the file, by the program.</remarks>
    public static Datatype InFile(Datatype type)
    {
        if (type.Forms.Length > 0) return Datatype.Make(Combiner.Contiguous, [(0, type.Forms.Sum(BytesOf), PredefinedTypes.Byte)], Contents.None, [PredefinedTypes.Byte]);
        if (type.IsPredefined) return type; // MPI_LB and MPI_UB
        return type.Rebuild is { } rebuild ? rebuild([.. type.Types.Select(InFile)]) : InFile(type.Types[0]);
    }

    /// <exception cref="MpiException">another representation than external32</exception>
    public static void Require(string representation)
    {
        if (representation != Name) throw new MpiException(ErrorClass.UnsupportedDatarep, representation);
    }
}
