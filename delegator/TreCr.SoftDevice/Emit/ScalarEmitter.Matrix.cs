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
        int variant = 0;
        switch (op.Name)
        {
            case "mma":
            {
                MatrixShape shape = MatrixShape.Parse(op) ?? throw Unsupported();
                if (current.Operands.Length != 4) throw Unsupported();
                program.Shapes.Add(shape);
                variant = program.Shapes.Count - 1;
                int at = 0;
                Put(Operand(1), shape.ARegisters, shape.A, ref at);
                Put(Operand(2), shape.BRegisters, shape.B, ref at);
                Put(Operand(3), shape.CRegisters, shape.C, ref at);
                MatrixKind(CollectiveKind.Multiply, variant);
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

    /// <summary>The address of word <paramref name="n"/> of this thread.</summary>
    private protected void MatrixAddress(int n)
    {
        bool was = Arm(false);
        Context("Matrix");
        il.Ldloc(thread);
        il.LdcI4(WarpMatrices.LaneWords);
        il.Op(OpCodes.Mul);
        il.LdcI4(n);
        il.Add();
        il.LdcI4(8);
        il.Op(OpCodes.Mul);
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
        bool wide = current.Name == "mma" && MatrixShape.Parse(current.Opcode)!.D == PtxType.F64;
        PtxOperand[] registers = Registers(Operand(0));
        for (int n = 0; n < registers.Length; n++)
        {
            MatrixAddress(n);
            il.Op(wide ? OpCodes.Ldind_I8 : OpCodes.Ldind_I4);
            Pop(registers[n], wide ? PtxType.B64 : PtxType.B32);
        }
    }
}
