using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>tex, tld4, txq, suld, sust, suq: calls of <see cref="TextureUnit"/> and <see cref="SurfaceUnit"/>; values go through the context's texel.</summary>
unsafe partial class ScalarEmitter
{
    static MethodInfo Unit(Type unit, string name) => unit.GetMethod(name, BindingFlags.Public | BindingFlags.Static)!;

    static readonly MethodInfo FetchTexel = Unit(typeof(TextureUnit), nameof(TextureUnit.FetchTexel)), Fetch = Unit(typeof(TextureUnit), nameof(TextureUnit.Fetch)),
        Gradient = Unit(typeof(TextureUnit), nameof(TextureUnit.Gradient)), Query = Unit(typeof(TextureUnit), nameof(TextureUnit.Query)),
        SurfaceLoad = Unit(typeof(SurfaceUnit), nameof(SurfaceUnit.Load)), SurfaceStore = Unit(typeof(SurfaceUnit), nameof(SurfaceUnit.Store));

    /// <summary>Geometry as the modifier says, and how many coordinates there are (a layer comes before them).</summary>
    private protected TextureForm Geometry(out int coordinates)
    {
        (TextureForm form, coordinates) = current.Opcode.First("1d", "2d", "3d", "a1d", "a2d", "cube", "acube") switch
        {
            "1d" => ((TextureForm)1, 1), "2d" => ((TextureForm)2, 2), "3d" => ((TextureForm)3, 3),
            "a1d" => ((TextureForm)1 | TextureForm.Layered, 1), "a2d" => ((TextureForm)2 | TextureForm.Layered, 2),
            "cube" => ((TextureForm)3 | TextureForm.Cube, 3), "acube" => ((TextureForm)3 | TextureForm.Cube | TextureForm.Layered, 3),
            _ => throw Unsupported(),
        };
        return form;
    }

    /// <summary>Pushes the object: a register, or the value that a variable of the module holds.</summary>
    private protected void PushObject(PtxOperand m)
    {
        if (m.Kind != OperandKind.Memory || m.Value != 0) throw Unsupported("its object");
        if (m.Register >= 0)
        {
            Push(PtxOperand.Reg(m.Register), PtxType.U64);
            return;
        }
        SymbolAddress(m.Name ?? throw Unsupported("its object"), 0);
        il.Op(OpCodes.Conv_U);
        il.Op(OpCodes.Ldind_I8);
    }

    private protected void PushCoordinates(PtxOperand m, TextureForm form, int count, PtxType type)
    {
        int at = 0;
        if ((form & TextureForm.Layered) != 0) Push(m.Elements[at++], PtxType.U32); else il.LdcI4(0);
        if (m.Elements.Length < at + count) throw Unsupported("too few coordinates");
        for (int n = 0; n < 3; n++)
        {
            if (n < count) Push(m.Elements[at + n], type);
            else if (type == PtxType.F32) il.LdcR4(0);
            else il.LdcI4(0);
        }
    }

    private protected void EmitTexture()
    {
        PtxOpcode op = current.Opcode;
        PtxOperand d = Operand(0), m = Operand(1);
        TextureForm form = Geometry(out int count);
        if (op.Type is not (PtxType.F32 or PtxType.U32 or PtxType.S32) || op.Type2 is not (PtxType.F32 or PtxType.S32) || m.Elements.Length == 0) throw Unsupported();
        if (op.Type != PtxType.F32) form |= TextureForm.Integer;
        if (op.Name == "tld4")
        {
            string channel = op.First("r", "g", "b", "a") ?? throw Unsupported();
            form |= TextureForm.Gather | (TextureForm)("rgba".IndexOf(channel[0]) << 6);
        }
        LocalBuilder? level = null;
        if (op.Has("grad"))
        {
            level = Temporary(RegisterClass.F32);
            il.Ldloc(thread);
            PushObject(m);
            il.LdcI4((int)form);
            foreach (int side in (ReadOnlySpan<int>)[2, 3])
            {
                PtxOperand[] parts = Operand(side) is { Kind: OperandKind.Vector } v ? v.Elements : [Operand(side)];
                for (int n = 0; n < 3; n++)
                    if (n < parts.Length) Push(parts[n], PtxType.F32); else il.LdcR4(0);
            }
            il.Call(Gradient);
            il.Stloc(level);
        }
        il.Ldarg(0);
        il.Ldloc(thread);
        PushObject(m);
        il.LdcI4((int)form);
        PushCoordinates(m, form, count, op.Type2);
        if (level is not null) il.Ldloc(level);
        else if (op.Has("level")) PushI(2, op.Type2);
        else if (op.Type2 == PtxType.F32) il.LdcR4(0);
        else il.LdcI4(0);
        il.Call(op.Type2 == PtxType.F32 ? Fetch : FetchTexel);
        TakeTexel(d, op.Type);
    }

    private protected void EmitSurfaceLoad()
    {
        SurfaceAccess(Operand(1), SurfaceLoad);
        TakeTexel(Operand(0), current.Opcode.Type);
    }

    private protected void EmitSurfaceStore()
    {
        PtxOpcode op = current.Opcode;
        PtxOperand s = Operand(1);
        PtxOperand[] parts = s.Kind == OperandKind.Vector ? s.Elements : [s];
        for (int n = 0; n < op.Vector; n++)
        {
            TexelAddress(n * op.Type.Bytes());
            Push(parts[n], op.Type);
            il.Op(Store(op.Type));
        }
        SurfaceAccess(Operand(0), SurfaceStore);
    }

    private protected void SurfaceAccess(PtxOperand m, MethodInfo unit)
    {
        PtxOpcode op = current.Opcode;
        TextureForm form = Geometry(out int count);
        int bytes = op.Type.Bytes() * op.Vector;
        if (!op.Has("b") || (form & TextureForm.Cube) != 0 || op.Type is PtxType.None or PtxType.Pred or PtxType.B128 || bytes > 16) throw Unsupported();
        form |= (TextureForm)(bytes << 10) | (TextureForm)((op.First("trap", "clamp", "zero") switch { "clamp" => 1, "zero" => 2, _ => 0 }) << 8);
        il.Ldarg(0);
        il.Ldloc(thread);
        PushObject(m);
        il.LdcI4((int)form);
        PushCoordinates(m, form, count, PtxType.S32);
        il.Call(unit);
    }

    private protected void EmitTextureQuery()
    {
        PtxOpcode op = current.Opcode;
        string[] names = ["width", "height", "depth", "channel_data_type", "channel_order", "normalized_coords", "array_size", "num_mipmap_levels"];
        int what = Array.IndexOf(names, op.First(names));
        if (what < 0) throw Unsupported();
        il.Ldarg(0);
        il.Ldloc(thread);
        PushObject(Operand(1));
        il.LdcI4(what);
        il.LdcI4(op.Name == "suq" ? 1 : 0);
        if (op.Has("level")) PushI(2, PtxType.U32); else il.LdcI4(0);
        il.Call(Query);
        Pop(Operand(0), PtxType.U32);
    }

    private protected void TexelAddress(int offset)
    {
        il.Ldarg(0);
        il.Ldflda(ContextFields["Texel0"]);
        il.Op(OpCodes.Conv_U);
        if (offset == 0) return;
        il.LdcI4(offset);
        il.Op(OpCodes.Conv_I);
        il.Add();
    }

    private protected void TakeTexel(PtxOperand d, PtxType type)
    {
        PtxOperand[] parts = d.Kind == OperandKind.Vector ? d.Elements : [d];
        for (int n = 0; n < parts.Length; n++)
        {
            if (parts[n].Kind == OperandKind.Sink) continue;
            TexelAddress(n * type.Bytes());
            il.Op(Load(type));
            Pop(parts[n], type);
        }
    }
}
