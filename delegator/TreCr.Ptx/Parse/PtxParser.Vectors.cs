using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Parse;

/// <summary>Registers of vectors, which gcc declares: each is as many registers as it has parts, and its name stands for them in braces.</summary>
public sealed partial class PtxParser
{
    sealed record VectorRegister(int First, int Count)
    {
        public PtxOperand ToOperand() => new() { Kind = OperandKind.Vector, Elements = [.. Enumerable.Range(First, Count).Select(PtxOperand.Reg)] };
    }

    /// <summary>"name {, name…};" or "name&lt;N&gt;" after ".reg .vN .type".</summary>
    void VectorRegisters(PtxType type, int parts)
    {
        do
        {
            string name = Word();
            if (!Take('<')) { Add(name); continue; }
            long count = Integer();
            Want('>');
            if (count is < 0 or > 1 << 16) throw Bad($"{count} registers");
            for (int n = 0; n < count; n++) Add(name + n);
        } while (Take(','));
        Want(';');

        void Add(string name)
        {
            scopes.Peek()[name] = new VectorRegister(function.Registers.Count, parts);
            for (int n = 0; n < parts; n++) function.Registers.Add(new(name + "." + "xyzw"[n], type));
        }
    }

    /// <summary>mov.v2.u32 d, {a, b}: part by part, through registers of its own, since parts of d may stand among the sources.</summary>
    void MoveParts(PtxOpcode vector, List<PtxOperand> operands, int guard, bool negated, int line)
    {
        int parts = vector.Vector;
        if (operands.Count != 2 || !operands.TrueForAll(o => o.Kind == OperandKind.Vector && o.Elements.Length == parts) || vector.Type == PtxType.None) throw Bad($"'{vector.Text}' with other operands than vectors of {parts}");
        PtxOpcode single = Opcode("mov." + vector.Modifiers.First(m => PtxTypes.Parse(m) == vector.Type));
        int first = function.Registers.Count;
        for (int n = 0; n < parts; n++) function.Registers.Add(new("", vector.Type));
        for (int n = 0; n < parts; n++) Add(PtxOperand.Reg(first + n), operands[1].Elements[n]);
        for (int n = 0; n < parts; n++)
            if (operands[0].Elements[n].Kind != OperandKind.Sink) Add(operands[0].Elements[n], PtxOperand.Reg(first + n));

        void Add(PtxOperand to, PtxOperand from) => function.Body.Add(new() { Opcode = single, Operands = [to, from], Guard = guard, GuardNegated = negated, Line = line });
    }
}
