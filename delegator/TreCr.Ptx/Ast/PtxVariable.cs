namespace TreCr.Ptx.Ast;

/// <summary>A place in an initialiser that holds an address: bytes [Offset, Offset + SizeBytes) = address of Symbol + Addend.</summary>
/// <param name="ShiftBits">for mask(…): which byte of the address is stored</param>
public readonly record struct AddressFixup(int Offset, string Symbol, long Addend, int SizeBytes, int ShiftBits, bool Generic);

/// <summary>Opaque types of variables (PTX ISA, "Texture Sampler and Surface Types"); samplers apart from textures are not known here.</summary>
public enum PtxReference : byte { None, Texture, Surface }

/// <summary>A variable of any state space, or a parameter.</summary>
public sealed class PtxVariable
{
    public required string Name;
    public PtxSpace Space;
    public PtxType Type;
    public int AlignBytes = 1;
    /// <summary>0 for an unsized extern array (dynamic shared memory)</summary>
    public long SizeBytes;
    public bool Extern, Visible, Weak, Managed;
    /// <summary>What the driver binds to the name; such a variable is eight bytes that hold the address of an image, as the register holds it where an instruction names an object.</summary>
    public PtxReference Reference;
    /// <summary>leading bytes; the rest is zero. Null where there is no initialiser.</summary>
    public byte[]? Initial;
    public List<AddressFixup> Fixups = [];
    /// <summary>Offset in its space, set by layout passes; -1 before.</summary>
    public long Offset = -1;
}
