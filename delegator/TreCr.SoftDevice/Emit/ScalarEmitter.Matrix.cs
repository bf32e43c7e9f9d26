using System.Reflection.Emit;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Matrix instructions: each lane puts its registers into its words of BlockContext.Matrix and stops; when the whole warp has come, WarpMatrices does the work; then each takes its results.</summary>
unsafe partial class ScalarEmitter
{
    private protected void EmitMatrix()
    {
        PtxOpcode op = current.Opcode;
        program.UsesMatrices = true;
        BeginMatrix();
        switch (op.Name)
        {
            case "wmma" when op.First("load", "store") is not null:
                EmitFragmentMove();
                return;
            case "mma" or "wmma":
            {
                MatrixShape shape = MatrixShape.Parse(op) ?? throw Unsupported();
                if (current.Operands.Length != 4) throw Unsupported();
                int at = 0;
                Put(Operand(1), shape.A.Registers, shape.A.Type, ref at);
                Put(Operand(2), shape.B.Registers, shape.B.Type, ref at);
                Put(Operand(3), shape.C.Registers, shape.C.Type, ref at);
                MatrixKind(CollectiveKind.Multiply, program.ShapeOf(op, shape));
                return;
            }
            case "movmatrix":
            {
                int at = 0;
                if (!op.Has("trans") || !op.Has("m8n8") || op.Type != PtxType.B16) throw Unsupported();
                Put(Operand(1), 1, PtxType.B32, ref at);
                MatrixKind(CollectiveKind.TransposeMatrix, 0);
                return;
            }
        }
        bool store = op.Name == "stmatrix";
        int matrices = op.First("x1", "x2", "x4") switch { "x1" => 1, "x2" => 2, "x4" => 4, _ => throw Unsupported() };
        if (op.Space != PtxSpace.Shared || !op.Has("m8n8") || op.Type != PtxType.B16) throw Unsupported();
        MatrixWord(0, () => EffectiveAddress(Operand(store ? 0 : 1)));
        int word = 1;
        if (store) Put(Operand(1), matrices, PtxType.B32, ref word);
        MatrixKind(CollectiveKind.MoveMatrix, matrices | (op.Has("trans") ? 16 : 0) | (store ? 32 : 0));
    }

    /// <summary>wmma.load and wmma.store: all lanes bring the address and the stride, and what they store.</summary>
    private protected void EmitFragmentMove()
    {
        PtxOpcode op = current.Opcode;
        bool stores = op.Has("store");
        Fragment fragment = MatrixShape.ParseMove(op) ?? throw Unsupported();
        string layout = op.First("row", "col") ?? throw Unsupported();
        bool byColumns = layout == "col";
        PtxType type = fragment.Type;
        // Elements smaller than a byte lie in whole bytes only along the rows of A and the columns of B.
        if (type.Bits() < 8 && byColumns != op.Has("b") || op.Space is not (PtxSpace.Generic or PtxSpace.Global or PtxSpace.Shared) || op.Has("shared::cluster") || op.Has("d") != stores) throw Unsupported();
        PtxOperand memory = Operand(stores ? 0 : 1);
        MatrixWord(0, () => EffectiveAddress(memory));
        // Without a stride, lines follow each other.
        MatrixWord(1, () => { if (current.Operands.Length > 2) { PushI(2, PtxType.U32); il.Op(OpCodes.Conv_U8); } else il.LdcI8(byColumns ? fragment.Rows : fragment.Columns); });
        int word = 2;
        if (stores) Put(Operand(1), fragment.Registers, type, ref word);
        else if (Registers(Operand(0)).Length != fragment.Registers) throw Unsupported($"{Registers(Operand(0)).Length} registers instead of {fragment.Registers}");
        program.AddFragment(op, fragment, byColumns);
        MatrixKind(CollectiveKind.MoveFragment, program.Fragments.Count - 1);
    }

    private protected static PtxOperand[] Registers(PtxOperand o) => o.Kind == OperandKind.Vector ? o.Elements : [o];

    private protected void Put(PtxOperand o, int count, PtxType element, ref int at)
    {
        PtxOperand[] registers = Registers(o);
        if (registers.Length != count) throw Unsupported($"{registers.Length} registers instead of {count}");
        bool wide = element == PtxType.F64;
        foreach (PtxOperand r in registers)
            MatrixWord(at++, () =>
            {
                Push(r, wide ? PtxType.B64 : PtxType.B32);
                if (!wide) Widen();
            });
    }

    private protected LocalBuilder? matrixWords;

    /// <summary>Looks up where the words of this thread lie.</summary>
    private protected void BeginMatrix()
    {
        bool was = Arm(false);
        matrixWords ??= il.NewLocal(typeof(ulong*));
        Context("Matrix");
        il.Ldloc(thread);
        il.LdcI4(WarpMatrices.LaneWords * 8);
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I);
        il.Add();
        il.Stloc(matrixWords);
        Arm(was);
    }

    /// <summary>The address of word <paramref name="n"/> of this thread.</summary>
    private protected void MatrixAddress(int n)
    {
        bool was = Arm(false);
        il.Ldloc(matrixWords!);
        il.LdcI4(n * 8);
        il.Op(OpCodes.Conv_I);
        il.Add();
        Arm(was);
    }

    private protected void MatrixWord(int n, Action value)
    {
        MatrixAddress(n);
        value();
        il.Op(OpCodes.Stind_I8);
    }

    private protected void MatrixKind(CollectiveKind kind, int variant)
    {
        bool was = Arm(false);
        SetSlot("Kind", () => il.LdcI4((int)kind));
        SetSlot("Mask", () => il.LdcI4(-1));
        SetSlot("A", () => il.LdcI4(variant));
        Arm(was);
    }

    private protected void CollectMatrix()
    {
        bool wide = current.Name is "mma" or "wmma" && current.Opcode.Type == PtxType.F64;
        BeginMatrix();
        PtxOperand[] registers = Registers(Operand(0));
        for (int n = 0; n < registers.Length; n++)
        {
            MatrixAddress(n);
            il.Op(wide ? OpCodes.Ldind_I8 : OpCodes.Ldind_I4);
            Pop(registers[n], wide ? PtxType.B64 : PtxType.B32);
        }
    }
}
