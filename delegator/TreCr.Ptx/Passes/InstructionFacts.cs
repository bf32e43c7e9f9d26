using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Passes;

/// <summary>What an instruction reads, writes and does to control flow: the one table that the passes share.</summary>
public static class InstructionFacts
{
    /// <summary>Name of the pseudo instruction that takes a collective's result when the thread goes on.</summary>
    public const string Collect = "@collect";

    /// <summary>True for barriers and warp collectives: the thread stops until others have come.</summary>
    public static bool Suspends(PtxInstruction i) => i.Name switch
    {
        "bar" or "barrier" => !i.Opcode.Has("arrive"),
        "shfl" or "vote" or "match" or "redux" or "activemask" or "mma" or "wmma" or "ldmatrix" or "stmatrix" or "movmatrix" => true,
        _ => IsDeviceFence(i),
    };

    /// <summary>
    /// A fence for threads of other blocks. Programs rely on the lanes of a warp being together there: all store, all fence, one raises the flag for which another block waits (cuBLAS's trsv), with nothing
    /// between that would make them meet. So a thread stops at it until the others of its warp have come as far as they can.
    /// </summary>
    public static bool IsDeviceFence(PtxInstruction i) => i.Name switch
    {
        "membar" => !i.Opcode.Has("cta") && !i.Opcode.Has("proxy"),
        "fence" => !i.Opcode.Has("cta") && !i.Opcode.Has("proxy") && !i.Opcode.Has("mbarrier_init"),
        _ => false,
    };

    /// <summary>True where operand 0 is written.</summary>
    public static bool WritesFirst(PtxInstruction i) => i.Name switch
    {
        "st" or "red" or "bra" or "brx" or "call" or "ret" or "exit" or "trap" or "brkpt" or "membar" or "fence" or "prefetch" or "prefetchu" or "nanosleep"
            or "discard" or "applypriority" or "pmevent" or "griddepcontrol" or "setmaxnreg" or "cp" or "stmatrix" or "sust" or "sured" => false,
        "bar" or "barrier" => i.Opcode.Has("red"),
        "mbarrier" => i.Opcode.First("init", "inval", "expect_tx", "complete_tx") is null || i.Opcode.Has("arrive"),
        "wmma" => !i.Opcode.Has("store"),
        _ => true,
    };

    /// <summary>A look at a barrier in shared memory, which a loop around it repeats until other threads have come.</summary>
    public static bool LooksAtBarrier(PtxInstruction i) => i.Name == "mbarrier" && i.Opcode.First("test_wait", "try_wait") is not null;

    /// <summary>True where each thread that does it counts: a change in memory that is not the same when it is made once instead of twice.</summary>
    public static bool Counts(PtxInstruction i) => i.Name is "atom" or "red" or "mbarrier" || i.Name == "cp" && i.Opcode.Has("mbarrier");

    public static void ForDefs<T>(PtxInstruction i, ref T visitor) where T : struct, IRegisterVisitor, allows ref struct
    {
        if (i.Name == Collect) { ForDefs(i.Origin!, ref visitor); return; }
        if (!WritesFirst(i) || i.Operands.Length == 0) return;
        PtxOperand d = i.Operands[0];
        if (d.Register >= 0 && d.Kind == OperandKind.Register) visitor.Visit(d.Register);
        if (d.Register2 >= 0) visitor.Visit(d.Register2);
        foreach (PtxOperand e in d.Elements)
            if (e.Kind == OperandKind.Register) visitor.Visit(e.Register);
    }

    public static void ForUses<T>(PtxInstruction i, ref T visitor) where T : struct, IRegisterVisitor, allows ref struct
    {
        if (i.Name == Collect) return;
        if (i.Guard >= 0) visitor.Visit(i.Guard);
        for (int n = 0; n < i.Operands.Length; n++)
        {
            PtxOperand o = i.Operands[n];
            bool written = n == 0 && WritesFirst(i);
            if (written && o.Kind != OperandKind.Memory) continue;
            if (o.Register >= 0) visitor.Visit(o.Register);
            if (o.Register2 >= 0) visitor.Visit(o.Register2);
            foreach (PtxOperand e in o.Elements)
                if (e.Register >= 0) visitor.Visit(e.Register);
        }
    }
}

/// <summary>Called once per register mention.</summary>
public interface IRegisterVisitor
{
    void Visit(int register);
}
