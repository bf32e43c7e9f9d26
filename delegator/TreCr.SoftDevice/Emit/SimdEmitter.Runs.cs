using System.Reflection;
using System.Reflection.Emit;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// Groups that nobody waits for run for several blocks in one call: some groups of each block (a row of its threads), block after block, then the next row. What neighbouring blocks read lies in
/// long lines then, which the processor reads ahead; block by block, a stencil over blocks of 32 x 8 threads read ten short pieces of different lines.
/// </summary>
sealed unsafe partial class SimdEmitter
{
    static readonly FieldInfo CtaidXField = typeof(BlockContext).GetField("CtaidX")!;

    /// <summary>row = first group; for each row: for each block of the run: its groups [row, endOfRow).</summary>
    void EmitRunStart(LocalBuilder row, LocalBuilder endOfRow, LocalBuilder ctaid, Label nextRow, Label done)
    {
        Label inside = il.NewLabel(), block = il.NewLabel();
        il.Mark(nextRow);
        il.Ldloc(row);
        il.Ldarg(2);
        il.Op(OpCodes.Bge, done);
        il.Ldloc(row);
        Context("GroupsAtATime");
        il.Add();
        il.Stloc(endOfRow);
        il.Ldloc(endOfRow);
        il.Ldarg(2);
        il.Op(OpCodes.Ble, inside);
        il.Ldarg(2);
        il.Stloc(endOfRow);
        il.Mark(inside);
        Context("FirstCtaidX");
        il.Stloc(ctaid);
        il.Mark(block);
        // Faults and threads on their own look here.
        il.Ldarg(0);
        il.Ldloc(ctaid);
        il.Stfld(CtaidXField);
        il.Ldloc(row);
        il.Stloc(group);
        anotherBlock = block;
    }

    Label anotherBlock;

    void EmitRunEnd(LocalBuilder row, LocalBuilder endOfRow, LocalBuilder ctaid, Label nextBlock, Label nextRow)
    {
        il.Mark(nextBlock);
        il.Ldloc(ctaid);
        il.LdcI4(1);
        il.Add();
        il.Stloc(ctaid);
        il.Ldloc(ctaid);
        Context("EndCtaidX");
        il.Op(OpCodes.Blt, anotherBlock);
        il.Ldloc(endOfRow);
        il.Stloc(row);
        il.Br(nextRow);
    }
}
