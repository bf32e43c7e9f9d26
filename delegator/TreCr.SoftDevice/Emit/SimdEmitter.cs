using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Intrinsics;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>
/// The SIMD emitter: groups of 8, 16 or 32 neighbouring threads run in lockstep over the vectors of a <see cref="VectorWidth"/>. Registers that are the same in all lanes, or affine in the lane number, stay scalar and
/// are computed by the scalar emitter's code; the others are vectors, predicates bit masks. An instruction without a vector form is done lane by lane, again by the scalar emitter's code, so that it means the same.
/// Where lanes part, a method of its own goes on under masks (<see cref="MaskedMethod"/>); what masks cannot do is left to the threads themselves: the group's registers go into their frames and scalar code
/// (<see cref="SimdVariant.Resumable"/>) takes over until they end.
/// </summary>
sealed unsafe partial class SimdEmitter : ScalarEmitter
{
    const int ScratchSlotBytes = 256;

    readonly VectorWidth width;

    readonly Shapes shapes;
    readonly SimdLayout layout;
    readonly int lanes;
    readonly bool usesGroups;
    readonly LocalBuilder group, firstThread;
    /// <summary>what is known of lanes that part; null: groups are given up there</summary>
    readonly Divergence? divergence;
    LocalBuilder? scratch, lane, bits;
    readonly LocalBuilder[]?[] vectors;
    readonly Dictionary<(Type, int), (List<LocalBuilder[]> All, int Used)> vectorPools = [];
    readonly List<int> blockVectors = [];
    readonly Dictionary<int, LocalBuilder> laneLocals = [];
    bool inLane;
    /// <summary>lanes that carry the instruction out; null: all</summary>
    LocalBuilder? mask;
    /// <summary>the mask is narrower than the block's: the instruction has a guard that differs between lanes</summary>
    bool guarded;

    SimdEmitter(ProgramBuilder program, FlowGraph g, Shapes shapes, Divergence? divergence, SimdLayout layout, int lanes, bool usesGroups, bool masked = false) : base(program, g, 0, 0, g.Blocks.Count, masked ? typeof(int) : null)
    {
        inMasked = masked;
        this.shapes = shapes;
        this.divergence = divergence;
        this.layout = layout;
        this.lanes = lanes;
        width = layout.Width;
        this.usesGroups = usesGroups;
        vectors = new LocalBuilder[]?[f.Registers.Count];
        group = il.NewLocal(typeof(int));
        firstThread = il.NewLocal(typeof(int));
        read = new ulong[mentioned.Length];
        foreach (FlowBlock b in Blocks)
            foreach (PtxInstruction i in b.Body)
            {
                BitMarker uses = new(read);
                InstructionFacts.ForUses(i, ref uses);
            }
    }

    /// <summary>Instructions, and those of them that are done lane by lane; each level of loops counts a hundred times.</summary>
    double weight, laneWeight;

    /// <summary>How often a block may run, next to one outside of all loops.</summary>
    double WeightOf(FlowBlock at)
    {
        double w = 1;
        foreach (FlowBlock b in Blocks)
            foreach (int s in b.Successors())
                if (s <= at.Index && b.Index >= at.Index && s <= b.Index) { w *= 100; break; }
        return w > 1e6 ? 1e6 : w;
    }

    /// <summary>registers that some instruction reads</summary>
    readonly ulong[] read;

    int Full => lanes == 32 ? -1 : (1 << lanes) - 1;

    /// <summary>Methods for groups whose lanes have parted, in all kernels of the process; for tests.</summary>
    internal static long MaskedMethods;

    /// <summary>Emits the code for groups whose lanes have parted. Null when it is too big, or would need what masks cannot do.</summary>
    public static MaskedMethod? EmitMasked(ProgramBuilder program, FlowGraph g, Shapes shapes, Divergence divergence, SimdLayout layout, int lanes, bool usesGroups)
    {
        SimdEmitter e = new(program, g, shapes, divergence, layout, lanes, usesGroups, true);
        e.EmitMethod();
        Interlocked.Increment(ref MaskedMethods);
        return e.il.TooBig ? null : e.Finish<MaskedMethod>();
    }

    /// <summary>Emits the whole kernel as one method over groups [first, last) of the block. Null when it is too big, or uses what only threads of their own can do.</summary>
    public static ChunkMethod? Emit(ProgramBuilder program, FlowGraph g, Shapes shapes, Divergence? divergence, SimdLayout layout, int lanes, bool usesGroups, out string size)
    {
        SimdEmitter e = new(program, g, shapes, divergence, layout, lanes, usesGroups);
        e.EmitMethod();
        size = e.il.Size;
        // Where a quarter of the work goes lane by lane anyway, threads one by one are faster (histogram: 1.5 to 2 times).
        if (!ProgramBuilder.AlwaysGroups && e.laneWeight * 4 >= e.weight) return null;
        if (e.il.TooBig && e.unrolled + e.inSides > 0)
        {
            e = new(program, g, shapes, divergence, layout, lanes, usesGroups) { mostUnrolled = 0, mostInSides = 0 };
            e.EmitMethod();
            size = e.il.Size;
        }
        return e.il.TooBig ? null : e.Finish<ChunkMethod>();
    }

    private protected override void EmitMethod()
    {
        if (inMasked) { EmitMaskedMethod(); return; }
        Label head = il.NewLabel(), done = il.NewLabel(), whole = il.NewLabel(), nextBlock = il.NewLabel(), nextRow = il.NewLabel();
        EmitHoists();
        DeclareLocals();
        LocalBuilder row = il.NewLocal(typeof(int)), endOfRow = il.NewLocal(typeof(int)), ctaid = hoistedSpecials.TryGetValue(SpecialRegister.CtaidX, out LocalBuilder? known) ? known : il.NewLocal(typeof(int));
        il.Ldarg(1);
        il.Stloc(row);
        if (usesGroups)
        {
            il.Ldarg(1);
            il.Stloc(group);
        }
        else EmitRunStart(row, endOfRow, ctaid, nextRow, done);
        il.Mark(head);
        il.Ldloc(group);
        if (usesGroups) il.Ldarg(2);
        else il.Ldloc(endOfRow);
        il.Op(OpCodes.Bge, usesGroups ? done : nextBlock);
        EmitThreadStart();
        EmitNoEntries();
        // The last group of a block may have fewer threads than lanes.
        Context("ThreadCount");
        il.Ldloc(thread);
        il.Op(OpCodes.Sub);
        il.LdcI4(lanes);
        il.Op(OpCodes.Bge, whole);
        LocalBuilder few = il.NewLocal(typeof(int));
        il.LdcI4(1);
        Context("ThreadCount");
        il.Ldloc(thread);
        il.Op(OpCodes.Sub);
        il.Op(OpCodes.Shl);
        il.LdcI4(1);
        il.Op(OpCodes.Sub);
        il.Stloc(few);
        if (divergence is null) Leave(() => (0, () => il.Ldloc(few)), null);
        else
        {
            if (usesGroups)
            {
                // It may come back from a barrier.
                GroupField("State");
                il.Brtrue(whole);
            }
            EnterMasked(g.Blocks.Count, (0, () => il.Ldloc(few)), null);
        }
        il.Mark(whole);
        EmitStates();
        foreach (FlowBlock b in Blocks) EmitBlock(b);
        il.Br(next);
        EmitMaskedCall();
        for (int n = 0; n < outOfLine.Count; n++) outOfLine[n]();
        il.Mark(next);
        il.Ldloc(group);
        il.LdcI4(1);
        il.Add();
        il.Stloc(group);
        il.Br(head);
        if (!usesGroups) EmitRunEnd(row, endOfRow, ctaid, nextBlock, nextRow);
        il.Mark(done);
        il.Ret();
    }

    void DeclareLocals()
    {
        scratch = il.NewLocal(typeof(byte*));
        lane = il.NewLocal(typeof(int));
        bits = il.NewLocal(typeof(int));
        Context("Scratch");
        il.Stloc(scratch);
        PrepareMasks();
    }

    /// <summary>The group's number is in its local; where it stopped, or has ended, the next one follows.</summary>
    private protected override void EmitThreadStart()
    {
        il.Ldloc(group);
        il.LdcI4(lanes);
        il.Op(OpCodes.Mul);
        il.Stloc(firstThread);
        il.Ldloc(firstThread);
        il.Stloc(thread);
        frame = il.NewLocal(typeof(byte*));
        Context("GroupFrames");
        il.Ldloc(group);
        il.LdcI4(layout.FrameBytes);
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I);
        il.Add();
        il.Stloc(frame);
        if (usesGroups)
        {
            slot = il.NewLocal(typeof(GroupSlot*));
            Context("Groups");
            il.Ldloc(group);
            il.LdcI4(sizeof(GroupSlot));
            il.Op(OpCodes.Mul);
            il.Op(OpCodes.Conv_I);
            il.Add();
            il.Stloc(slot);
            GroupField("Status");
            il.Brtrue(next);
        }
        EmitThreadLocals();
    }

    static readonly Dictionary<string, FieldInfo> GroupFields = typeof(GroupSlot).GetFields().ToDictionary(x => x.Name);

    void GroupField(string name)
    {
        il.Ldloc(slot!);
        il.Ldfld(GroupFields[name]);
    }

    void SetGroup(string name, Action value)
    {
        il.Ldloc(slot!);
        value();
        il.Stfld(GroupFields[name]);
    }

    /// <summary>Goes on where a group stopped: at a barrier, or in a loop that waits.</summary>
    void EmitStates()
    {
        if (!usesGroups) return;
        bool[] entry = new bool[g.Blocks.Count];
        entry[0] = true;
        foreach (FlowBlock b in g.Blocks)
        {
            if (b.End == BlockEnd.Suspend && IsBarrier(b.Body[^1])) entry[b.Next] = true;
            if (b.IsSpinEdge) entry[b.Target] = true;
        }
        Label[] table = new Label[g.Blocks.Count * (divergence is null ? 1 : 2)];
        List<(Label, int)> stubs = [];
        for (int n = 0; n < table.Length; n++)
        {
            table[n] = next;
            if (!entry[n % g.Blocks.Count]) continue;
            stubs.Add((table[n] = il.NewLabel(), n));
        }
        GroupField("State");
        il.Switch(table);
        il.Br(next);
        foreach ((Label stub, int block) in stubs)
        {
            il.Mark(stub);
            int at = block % g.Blocks.Count;
            if (block == at) Resume(at);
            else EnterMasked(block, (at, () => GroupField("Mask")), null);
        }
    }

    /// <summary>Goes on at a block with the registers in the group's frame.</summary>
    void Resume(int at)
    {
        ForRegisters(g.Blocks[at].LiveIn, mentioned, Restore);
        il.Br(blockLabels[at]);
    }

    void Restore(int r)
    {
        if (!shapes.IsVarying(r) || g.Classes[r] == RegisterClass.Pred)
        {
            FrameAddress(layout.Offset[r]);
            il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Ldind_I8, RegisterClass.F32 => OpCodes.Ldind_R4, RegisterClass.F64 => OpCodes.Ldind_R8, _ => OpCodes.Ldind_I4 });
            il.Stloc(Local(r));
            return;
        }
        LocalBuilder[] parts = Vector(r);
        for (int p = 0; p < parts.Length; p++)
        {
            FrameAddress(layout.Offset[r] + p * width.Bytes);
            LoadVector(ElementOf(g.Classes[r]));
            il.Stloc(parts[p]);
        }
    }

    void Save(int r)
    {
        if (!shapes.IsVarying(r) || g.Classes[r] == RegisterClass.Pred)
        {
            FrameAddress(layout.Offset[r]);
            il.Ldloc(Local(r));
            il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Stind_I8, RegisterClass.F32 => OpCodes.Stind_R4, RegisterClass.F64 => OpCodes.Stind_R8, _ => OpCodes.Stind_I4 });
            return;
        }
        LocalBuilder[] parts = Vector(r);
        for (int p = 0; p < parts.Length; p++)
        {
            il.Ldloc(parts[p]);
            FrameAddress(layout.Offset[r] + p * width.Bytes);
            StoreVector(ElementOf(g.Classes[r]));
        }
    }

    private protected override void SaveFor(int target)
    {
        changedAt ??= ChangedPass.Run(g, b => b.End == BlockEnd.Suspend && IsBarrier(b.Body[^1]));
        ForRegisters(g.Blocks[target].LiveIn, changedAt[block.Index], Save);
        SetGroup("State", () => il.LdcI4(target));
    }

    /// <summary>per block: registers that the group's frame may not hold</summary>
    ulong[][]? changedAt;

    /// <summary>Leaves the vector code: all lanes go on as threads, at one or two blocks.</summary>
    void Leave(Func<(int Block, Action Mask)> one, (int Block, Action Mask)? two)
    {
        (int block, Action m) = one();
        ulong[] live = [.. g.Blocks[block].LiveIn];
        if (two is { } other)
            for (int w = 0; w < live.Length; w++) live[w] |= g.Blocks[other.Block].LiveIn[w];
        ForRegisters(live, mentioned, Save);
        il.Ldarg(0);
        il.Ldloc(group);
        il.LdcI4(block);
        m();
        il.LdcI4(two?.Block ?? 0);
        if (two is { } second) second.Mask();
        else il.LdcI4(0);
        Call("LeaveGroup");
        il.Br(next);
    }

    private protected override LocalBuilder Local(int register)
    {
        if (inLane && laneLocals.TryGetValue(register, out LocalBuilder? l)) return l;
        if (shapes.IsVarying(register) && g.Classes[register] != RegisterClass.Pred) throw new NotVectorException($"register {f.Registers[register].Name} in {current.Opcode.Text}");
        return base.Local(register);
    }

    static Type ElementOf(RegisterClass c) => c switch { RegisterClass.I64 => typeof(long), RegisterClass.F32 => typeof(float), RegisterClass.F64 => typeof(double), _ => typeof(int) };
    static int SizeOf(Type t) => t == typeof(long) || t == typeof(double) || t == typeof(ulong) ? 8 : 4;
    int Parts(Type t) => lanes * SizeOf(t) / width.Bytes;

    /// <summary>The vectors of a varying register.</summary>
    LocalBuilder[] Vector(int register)
    {
        if (vectors[register] is { } known) return known;
        Type t = ElementOf(g.Classes[register]);
        if (g.OnlyBlock[register] < 0) return vectors[register] = NewVectors(t, Parts(t));
        blockVectors.Add(register);
        return vectors[register] = TemporaryVectors(t, Parts(t));
    }

    LocalBuilder[] NewVectors(Type t, int count)
    {
        LocalBuilder[] v = new LocalBuilder[count];
        for (int n = 0; n < count; n++) v[n] = il.NewLocal(width.Of(t));
        return v;
    }

    LocalBuilder[] TemporaryVectors(Type t, int count)
    {
        (List<LocalBuilder[]> all, int used) = vectorPools.TryGetValue((t, count), out (List<LocalBuilder[]>, int) pool) ? pool : ([], 0);
        if (used == all.Count) all.Add(NewVectors(t, count));
        vectorPools[(t, count)] = (all, used + 1);
        return all[used];
    }

    private protected override void EmitBlock(FlowBlock b)
    {
        il.Mark(blockLabels[b.Index]);
        EmitBody(b);
        if (b.End == BlockEnd.Fall) GoTo(b.Next, b.Index + 1);
        else
        {
            current = b.Body[^1];
            EmitGroupEnd(b);
        }
        ReleaseLocals();
    }

    void EmitBody(FlowBlock b)
    {
        groups = program.Checked ? AccessGroupPass.Run(b, program.Proven, AccessGroupPass.MaxSpanBytes - ScratchSlotBytes) : [];
        block = b;
        blockWeight = WeightOf(b);
        foreach (PtxInstruction i in b.Body)
            if (shapes.CheckedOnEntry.Contains(i)) { current = i; EmitWrapCheck(); }
        int count = b.End == BlockEnd.Fall ? b.Body.Count : b.Body.Count - 1;
        for (int n = 0; n < count; n++)
        {
            current = b.Body[n];
            if (current.Name == InstructionFacts.Collect) continue; // the collective has put its result into the registers itself
            EmitGuarded();
        }
        mask = due;
        guarded = false;
    }

    void ReleaseLocals()
    {
        foreach ((int register, _) in blockLocals) registerLocals[register] = null;
        blockLocals.Clear();
        foreach (int r in blockVectors) vectors[r] = null;
        blockVectors.Clear();
        broadcasts.Clear();
        foreach ((Type, int) key in vectorPools.Keys) vectorPools[key] = (vectorPools[key].All, 0);
        Array.Clear(poolUsed);
    }

    FlowBlock block = null!;
    double blockWeight;

    void EmitGuarded()
    {
        mask = due;
        guarded = false;
        if (current.Guard < 0) { EmitAny(); return; }
        Label skip = il.NewLabel();
        if (shapes.IsUniform(current.Guard))
        {
            EmitGuard(skip);
            EmitAny();
        }
        else
        {
            LocalBuilder m = Temporary(RegisterClass.I32);
            PushBits(PtxOperand.Reg(current.Guard), current.GuardNegated);
            if (due is not null)
            {
                il.Ldloc(due);
                il.Op(OpCodes.And);
            }
            il.Stloc(m);
            il.Ldloc(m);
            il.Brfalse(skip);
            mask = m;
            guarded = true;
            EmitAny();
        }
        il.Mark(skip);
    }

    /// <summary>Uniform and affine instructions by the scalar emitter, others as vectors, else lane by lane.</summary>
    void EmitAny()
    {
        PtxInstruction i = current;
        if (due is null) weight += blockWeight;
        Facts facts = new(this);
        InstructionFacts.ForUses(i, ref facts);
        InstructionFacts.ForDefs(i, ref facts);
        bool special = i.Operands.Any(o => o.Kind == OperandKind.Special && ShapePass.Of(f, o, shapes.Stride, layout.TidIsAffine) != 0 || o.Elements.Any(e => e.Kind == OperandKind.Special));
        if (i.Name is "addc" or "subc" or "madc" || i.Opcode.Has("cc"))
        {
            if (facts.Any || guarded) throw new NotVectorException(i.Opcode.Text);
        }
        if (!ShapePass.IsPerThread(i) && !guarded && !facts.Varying)
        {
            // A result that is affine, or the same for all, comes of the same arithmetic on the first lane's values.
            bool single = i.Operands.Length > 0 && InstructionFacts.WritesFirst(i) && i.Operands[0] is { Kind: OperandKind.Register };
            if (!facts.Affine && !special || single)
            {
                if (shapes.Widenings.Contains(i) && !shapes.CheckedOnEntry.Contains(i)) EmitWrapCheck();
                EmitInstruction(i);
                if (i.Name is "ld" or "ldu") EmitBroadcasts(i);
                return;
            }
        }
        if (!ShapePass.IsPerThread(i) && TryVector(i)) return;
        EmitPerLane(i, special);
    }

    ref struct Facts(SimdEmitter e) : IRegisterVisitor
    {
        public bool Affine, Varying;
        public readonly bool Any => Affine || Varying;
        public void Visit(int register)
        {
            if (e.shapes.IsVarying(register)) Varying = true;
            else if (!e.shapes.IsUniform(register)) Affine = true;
        }
    }

    /// <summary>An affine 32-bit value is about to be widened: where a lane's would wrap, the group leaves, as threads, from the start of the block.</summary>
    void EmitWrapCheck()
    {
        PtxOperand source = current.Operands[1];
        if (source.Register < 0 || shapes.IsUniform(source.Register)) return;
        bool signed = (current.Name == "cvt" ? current.Opcode.Type2 : current.Opcode.Type).IsSigned();
        long span = shapes.Stride[source.Register] * (lanes - 1);
        Label wraps = il.NewLabel();
        Push(source, signed ? PtxType.S32 : PtxType.U32);
        il.Op(signed ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
        il.LdcI8(span);
        il.Add();
        if (signed)
        {
            il.LdcI8(1L << 31);
            il.Add();
        }
        il.LdcI8(uint.MaxValue);
        il.Op(OpCodes.Bgt_Un, wraps);
        int from = block.Index, others = elsewhere;
        LocalBuilder? here = due;
        outOfLine.Add(() =>
        {
            il.Mark(wraps);
            if (inMasked) LeaveMasked((from, () => il.Ldloc(due!)));
            else if (here is null) Leave(() => (from, () => il.LdcI4(Full)), null);
            else Leave(() => (from, () => il.Ldloc(here)), others == End ? null : (others, () => Others(here)));
        });
    }

    /// <summary>A method of VectorMath or WideMath.</summary>
    void Math(string name) => il.Call(width.Helper(name)!);

    void Reinterpret(Type from, Type to)
    {
        if (from != to) il.Call(width.Reinterpret(from, to));
    }

    void LoadVector(Type t) => il.Call(width.Method("Load", t, t.MakePointerType()));
    void StoreVector(Type t) => il.Call(width.Method("Store", t, width.Of(t), t.MakePointerType()));
    void Broadcast(Type t) => il.Call(width.Method("Create", null, t));
}

/// <summary>The kernel uses something that only threads of their own can do: it stays with the scalar emitter.</summary>
sealed class NotVectorException(string what) : Exception(what);
