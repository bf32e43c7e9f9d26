namespace TreCr.Ptx.Ast;

/// <summary>An opcode with its modifiers, decoded once per distinct spelling: <c>ld.global.v2.f32</c>.</summary>
public sealed class PtxOpcode
{
    /// <summary>As written, dots included.</summary>
    public string Text { get; }
    /// <summary>The first part: <c>ld</c>.</summary>
    public string Name { get; }
    public string[] Modifiers { get; }
    /// <summary>Types in order of writing; for cvt, set, slct: destination first.</summary>
    public PtxType Type { get; }
    public PtxType Type2 { get; }
    public PtxSpace Space { get; }
    /// <summary>1, 2, 4 or 8 elements.</summary>
    public int Vector { get; } = 1;
    public bool Ftz { get; }
    public bool Sat { get; }
    /// <summary>volatile, relaxed, acquire, release, mmio: must reach memory each time.</summary>
    public bool Strong { get; }

    public PtxOpcode(string text)
    {
        Text = text;
        string[] parts = text.Split('.', StringSplitOptions.RemoveEmptyEntries);
        Name = parts.Length > 0 ? parts[0] : "";
        Modifiers = parts.Length > 1 ? parts[1..] : [];
        foreach (string m in Modifiers)
        {
            PtxType type = PtxTypes.Parse(m);
            if (type != PtxType.None)
            {
                if (Type == PtxType.None) Type = type;
                else if (Type2 == PtxType.None) Type2 = type;
                continue;
            }
            switch (m)
            {
                case "global": Space = PtxSpace.Global; break;
                case "const": Space = PtxSpace.Const; break;
                case "shared" or "shared::cta": Space = PtxSpace.Shared; break;
                case "local": Space = PtxSpace.Local; break;
                case "param" or "param::entry" or "param::func": Space = PtxSpace.Param; break;
                case "v2": Vector = 2; break;
                case "v4": Vector = 4; break;
                case "v8": Vector = 8; break;
                case "ftz": Ftz = true; break;
                case "sat": Sat = true; break;
                case "volatile" or "relaxed" or "acquire" or "release" or "acq_rel" or "mmio": Strong = true; break;
            }
        }
    }

    public bool Has(string modifier)
    {
        foreach (string m in Modifiers)
            if (m == modifier) return true;
        return false;
    }

    /// <summary>First of <paramref name="candidates"/> that is a modifier, or null.</summary>
    public string? First(params ReadOnlySpan<string> candidates)
    {
        foreach (string m in Modifiers)
            foreach (string c in candidates)
                if (m == c) return m;
        return null;
    }

    public override string ToString() => Text;
}
