using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>Picks the IL type of each register. Untyped .b32/.b64 registers become floats where most of their uses are (newer LLVM writes only .b32).</summary>
public static class RegisterClassPass
{
    public static void Run(FlowGraph g)
    {
        List<PtxRegister> registers = g.Function.Registers;
        int[] votes = new int[registers.Count];
        foreach (FlowBlock b in g.Blocks)
            foreach (PtxInstruction i in b.Body)
            {
                if (i.Name == InstructionFacts.Collect) continue;
                bool cvt = i.Name is "cvt" or "set" or "slct";
                for (int n = 0; n < i.Operands.Length; n++)
                {
                    PtxType type = cvt && n > 0 ? i.Opcode.Type2 : i.Opcode.Type;
                    Vote(votes, i.Operands[n], type.IsFloat() ? 1 : type is PtxType.B32 or PtxType.B64 ? 0 : -1);
                }
            }
        g.Classes = new RegisterClass[registers.Count];
        for (int r = 0; r < registers.Count; r++)
            g.Classes[r] = registers[r].Type switch
            {
                PtxType.Pred => RegisterClass.Pred,
                PtxType.F32 => RegisterClass.F32,
                PtxType.F64 => RegisterClass.F64,
                PtxType.B32 => votes[r] > 0 ? RegisterClass.F32 : RegisterClass.I32,
                PtxType.B64 => votes[r] > 0 ? RegisterClass.F64 : RegisterClass.I64,
                PtxType.U64 or PtxType.S64 => RegisterClass.I64,
                PtxType.B128 => throw new PtxException(PtxException.InvalidPtx, "128-bit registers are not supported"),
                _ => RegisterClass.I32,
            };
    }

    static void Vote(int[] votes, PtxOperand o, int vote)
    {
        if (o.Kind == OperandKind.Memory) vote = -1;
        if (o.Register >= 0) votes[o.Register] += vote;
        foreach (PtxOperand e in o.Elements) Vote(votes, e, vote);
    }
}
