using System.Reflection.Emit;
using TreCr.Ptx.Ast;

namespace TreCr.SoftDevice.Emit;

/// <summary>Barrier objects in shared memory. Asynchronous copies are done when they are begun, so that nothing arrives later than its instruction.</summary>
unsafe partial class ScalarEmitter
{
    /// <summary>True where the instruction's memory operand is a barrier object.</summary>
    private protected static bool IsBarrierAccess(PtxInstruction i) => i.Name == "mbarrier" && !i.Opcode.Has("pending_count") || i.Name == "cp" && i.Opcode.Has("mbarrier");

    private protected void EmitBarrierObject()
    {
        PtxOpcode op = current.Opcode;
        if (op.Has("pending_count"))
        {
            PushI(1, PtxType.B64);
            Call("BarrierPending");
            Pop(Operand(0), PtxType.U32);
            return;
        }
        if (op.Has("shared::cluster") || op.Has("cluster")) throw Unsupported("clusters");
        switch (op.First("init", "inval", "arrive", "arrive_drop", "test_wait", "try_wait", "expect_tx", "complete_tx"))
        {
            case "init":
                BarrierAddress(0);
                PushI(1, PtxType.U32);
                Call("BarrierInit");
                break;
            case "inval":
                // Whatever stands there afterwards is no barrier; only the address is looked at.
                BarrierAddress(0);
                il.Op(OpCodes.Pop);
                break;
            case "arrive" or "arrive_drop":
                EmitArrival(op);
                break;
            case "test_wait" or "try_wait":
                bool parity = op.Has("parity");
                BarrierAddress(1);
                PushI(2, parity ? PtxType.U32 : PtxType.B64);
                Call(parity ? "BarrierTestParity" : "BarrierTest");
                Pop(Operand(0), PtxType.Pred);
                break;
            case "expect_tx" or "complete_tx":
                BarrierAddress(0);
                PushI(1, PtxType.U32);
                if (op.Has("complete_tx")) il.Op(OpCodes.Neg);
                Call("BarrierBytes");
                break;
            default: throw Unsupported();
        }
    }

    /// <summary>mbarrier.arrive{.expect_tx} state, [a]{, count}: with expect_tx the operand is a number of bytes, and one thread arrives.</summary>
    private protected void EmitArrival(PtxOpcode op)
    {
        bool bytes = op.Has("expect_tx"), counted = !bytes && current.Operands.Length > 2;
        if (bytes)
        {
            BarrierAddress(1);
            PushI(2, PtxType.U32);
            Call("BarrierBytes");
        }
        BarrierAddress(1);
        if (counted) PushI(2, PtxType.U32);
        else il.LdcI4(1);
        il.LdcI4(op.Has("arrive_drop") ? 1 : 0);
        Call("BarrierArrive");
        Pop(Operand(0), PtxType.B64);
    }

    /// <summary>cp.async.mbarrier.arrive: the thread's copies are done. Without .noinc it first adds the arrival that it then makes.</summary>
    private protected void EmitAsyncArrival()
    {
        PtxOpcode op = current.Opcode;
        if (op.Has("bulk") || op.Has("shared::cluster") || !op.Has("arrive")) throw Unsupported();
        BarrierAddress(0);
        if (!op.Has("noinc")) { il.Op(OpCodes.Pop); return; }
        il.LdcI4(1);
        il.LdcI4(0);
        Call("BarrierArrive");
        il.Op(OpCodes.Pop);
    }

    private protected void BarrierAddress(int operand) => Address(current.Opcode.Space, Operand(operand), 8);
}
