using System.Reflection;
using System.Reflection.Emit;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Runs the threads [first, last) of the block, each until it ends or stops, and returns.</summary>
unsafe delegate void ChunkMethod(BlockContext* context, int first, int last);

/// <summary>
/// The scalar emitter (T1 of facts/ptx-jit.md): one method for a run of blocks, one CUDA thread after the other inside it. A thread stops by
/// saving its live registers in its frame and its next block in its slot; that serves barriers, warp collectives, calls, spin loops and
/// the borders between methods alike.
/// </summary>
unsafe partial class ScalarEmitter
{
    private protected readonly ProgramBuilder program;
    private protected readonly FlowGraph g;
    private protected readonly PtxFunction f;
    private protected readonly int stateBase, firstBlock, endBlock;
    private protected readonly DynamicMethod method;
    private protected readonly IlWriter il;
    private protected readonly IlRecording? recording;
    private protected readonly ulong[] defined, mentioned;
    private protected readonly Label[] blockLabels;
    private protected readonly Label next;
    private protected readonly LocalBuilder thread;
    private protected LocalBuilder? slot, frame, localBase, spin, packedTid;
    private protected readonly LocalBuilder?[] registerLocals;
    private protected readonly List<LocalBuilder>[] pools = [[], [], [], [], []];
    private protected readonly int[] poolUsed = new int[5];
    private protected readonly List<(int Register, LocalBuilder Local)> blockLocals = [];
    private protected readonly List<Action> outOfLine = [];
    private protected PtxInstruction current = null!;
    private protected readonly Mutation? mutation;
    private protected Dictionary<PtxInstruction, AccessGroup> groups = [];

    private protected static readonly Dictionary<string, FieldInfo> ContextFields = typeof(BlockContext).GetFields().ToDictionary(x => x.Name);
    private protected static readonly Dictionary<string, FieldInfo> SlotFields = typeof(ThreadSlot).GetFields().ToDictionary(x => x.Name);
    private protected static readonly Dictionary<string, MethodInfo> Helpers = typeof(PtxMath).GetMethods(BindingFlags.Static | BindingFlags.Public)
        .Concat(typeof(KernelSupport).GetMethods(BindingFlags.Static | BindingFlags.Public))
        .Concat(typeof(PtxBarriers).GetMethods(BindingFlags.Static | BindingFlags.Public))
        .Where(m => m.DeclaringType != typeof(object)).ToDictionary(m => m.Name);
    private protected static readonly MethodInfo RotateRight64 = typeof(System.Numerics.BitOperations).GetMethod("RotateRight", [typeof(ulong), typeof(int)])!;
    private protected static readonly Type[] LocalTypes = [typeof(int), typeof(int), typeof(long), typeof(float), typeof(double)];

    /// <param name="result">what the method returns; null for nothing</param>
    private protected ScalarEmitter(ProgramBuilder program, FlowGraph g, int stateBase, int firstBlock, int endBlock, Type? result = null)
    {
        this.program = program;
        this.g = g;
        f = g.Function;
        this.stateBase = stateBase;
        this.firstBlock = firstBlock;
        this.endBlock = endBlock;
        method = new($"{f.Name}#{firstBlock}", result ?? typeof(void), [typeof(BlockContext*), typeof(int), typeof(int)], typeof(object).Module, skipVisibility: true) { InitLocals = false };
        mutation = ProgramBuilder.Mutation;
        recording = program.Records ? new(result ?? typeof(void)) : null;
        il = new(method.GetILGenerator(4096), mutation, recording);
        registerLocals = new LocalBuilder?[f.Registers.Count];
        int words = (f.Registers.Count + 63) / 64;
        defined = new ulong[words];
        mentioned = new ulong[words];
        blockLabels = new Label[endBlock - firstBlock];
        for (int n = 0; n < blockLabels.Length; n++) blockLabels[n] = il.NewLabel();
        next = il.NewLabel();
        thread = il.NewLocal(typeof(int));
        foreach (FlowBlock b in Blocks)
            foreach (PtxInstruction i in b.Body)
            {
                BitMarker d = new(defined), m = new(mentioned);
                InstructionFacts.ForDefs(i, ref d);
                InstructionFacts.ForDefs(i, ref m);
                InstructionFacts.ForUses(i, ref m);
            }
    }

    private protected readonly ref struct BitMarker(ulong[] bits) : IRegisterVisitor
    {
        public void Visit(int register) => bits[register >> 6] |= 1UL << register;
    }

    private protected IEnumerable<FlowBlock> Blocks => g.Blocks.Skip(firstBlock).Take(endBlock - firstBlock);

    /// <summary>Emits blocks [firstBlock, endBlock) as one method. Null when it is too big for RyuJIT's optimiser.</summary>
    /// <exception cref="PtxException">209: an instruction that the software device does not have.</exception>
    public static ChunkMethod? Emit(ProgramBuilder program, FlowGraph g, int stateBase, int firstBlock, int endBlock, out string size)
    {
        ScalarEmitter e = new(program, g, stateBase, firstBlock, endBlock);
        e.EmitMethod();
        size = e.il.Size;
        return e.il.TooBig && endBlock - firstBlock > 1 ? null : e.Finish<ChunkMethod>();
    }

    /// <summary>Methods, in all kernels of the process; for tests.</summary>
    internal static long Emitted;

    /// <summary>The method, ready to be called; what it was made of is kept where that is wanted.</summary>
    private protected T Finish<T>() where T : Delegate
    {
        Interlocked.Increment(ref Emitted);
        T made = method.CreateDelegate<T>();
        IlRecording.Keep(made, recording);
        return made;
    }

    private protected virtual void EmitMethod()
    {
        Label head = il.NewLabel(), done = il.NewLabel();
        il.Ldarg(1);
        il.Stloc(thread);
        EmitHoists();
        il.Mark(head);
        il.Ldloc(thread);
        il.Ldarg(2);
        il.Op(OpCodes.Bge, done);
        EmitThreadStart();
        foreach (FlowBlock b in Blocks) EmitBlock(b);
        il.Br(next); // never reached where the last block ends by itself
        for (int n = 0; n < outOfLine.Count; n++) outOfLine[n]();
        il.Mark(next);
        il.Ldloc(thread);
        il.LdcI4(1);
        il.Add();
        il.Stloc(thread);
        il.Br(head);
        il.Mark(done);
        il.Ret();
    }

    private protected virtual void EmitThreadStart()
    {
        if (program.UsesSlots)
        {
            slot = il.NewLocal(typeof(ThreadSlot*));
            frame = il.NewLocal(typeof(byte*));
            Context("Slots");
            il.Ldloc(thread);
            il.LdcI4(sizeof(ThreadSlot));
            il.Op(OpCodes.Mul);
            il.Op(OpCodes.Conv_I);
            il.Add();
            il.Stloc(slot);
            Slot("Status");
            il.Brtrue(next);
            Context("Frames");
            il.Ldloc(thread);
            Context("FrameStride");
            il.Op(OpCodes.Mul);
            Slot("Frame");
            il.Add();
            il.Op(OpCodes.Conv_I);
            il.Add();
            il.Stloc(frame);
        }
        EmitThreadLocals();
        if (!program.UsesSlots) return;
        bool[] entry = new bool[g.Blocks.Count];
        foreach (FlowBlock b in g.Blocks)
        {
            if (b.IsEntryPoint) entry[b.Index] = true;
            foreach (int s in b.Successors())
                if (b.Index < firstBlock != s < firstBlock || b.Index < endBlock != s < endBlock) entry[s] = true;
        }
        List<(Label Stub, FlowBlock Block)> stubs = [];
        Label[] table = new Label[endBlock - firstBlock];
        for (int n = firstBlock; n < endBlock; n++)
        {
            table[n - firstBlock] = next;
            if (!entry[n]) continue;
            Label stub = table[n - firstBlock] = il.NewLabel();
            stubs.Add((stub, g.Blocks[n]));
        }
        Slot("State");
        il.LdcI4(stateBase + firstBlock);
        il.Op(OpCodes.Sub);
        il.Switch(table);
        il.Br(next);
        foreach ((Label stub, FlowBlock block) in stubs)
        {
            il.Mark(stub);
            ForRegisters(block.LiveIn, mentioned, r =>
            {
                FrameAddress(g.SlotOffset[r]);
                il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Ldind_I8, RegisterClass.F32 => OpCodes.Ldind_R4, RegisterClass.F64 => OpCodes.Ldind_R8, _ => OpCodes.Ldind_I4 });
                il.Stloc(Local(r));
            });
            il.Br(blockLabels[block.Index - firstBlock]);
        }
    }

    /// <summary>What is looked up once for each thread, or for the first of a group.</summary>
    private protected void EmitThreadLocals()
    {
        if (usesTid)
        {
            packedTid = il.NewLocal(typeof(int));
            LoadTid();
        }
        if (usesLocal)
        {
            localBase = il.NewLocal(typeof(byte*));
            LoadLocalBase();
        }
        if (Blocks.Any(b => b.IsSpinEdge))
        {
            spin = il.NewLocal(typeof(int));
            il.LdcI4(200);
            il.Stloc(spin);
        }
    }

    private protected void LoadTid()
    {
        Context("Tids");
        il.Ldloc(thread);
        il.LdcI4(4);
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I);
        il.Add();
        il.Op(OpCodes.Ldind_U4);
        il.Stloc(packedTid!);
    }

    private protected void LoadLocalBase()
    {
        Context("Local");
        il.Ldloc(thread);
        Context("LocalStride");
        il.Op(OpCodes.Mul);
        il.Op(OpCodes.Conv_I);
        il.Add();
        il.Stloc(localBase!);
    }

    private protected static void ForRegisters(ulong[] a, ulong[] b, Action<int> visit)
    {
        for (int w = 0; w < a.Length; w++)
            for (ulong bits = a[w] & b[w]; bits != 0; bits &= bits - 1)
                visit(w * 64 + System.Numerics.BitOperations.TrailingZeroCount(bits));
    }

    /// <summary>Stores what block <paramref name="target"/> needs and this method may have changed; sets the slot's state.</summary>
    private protected virtual void SaveFor(int target)
    {
        bool was = Arm(false);
        ForRegisters(g.Blocks[target].LiveIn, defined, r =>
        {
            FrameAddress(g.SlotOffset[r]);
            il.Ldloc(Local(r));
            il.Op(g.Classes[r] switch { RegisterClass.I64 => OpCodes.Stind_I8, RegisterClass.F32 => OpCodes.Stind_R4, RegisterClass.F64 => OpCodes.Stind_R8, _ => OpCodes.Stind_I4 });
        });
        SetSlot("State", () => il.LdcI4(stateBase + target));
        Arm(was);
    }

    /// <summary>Goes to a block: falls, jumps, or leaves the method where it is in another one.</summary>
    private protected void GoTo(int target, int following)
    {
        if (target < firstBlock || target >= endBlock)
        {
            SaveFor(target);
            il.Br(next);
        }
        else if (target != following) il.Br(blockLabels[target - firstBlock]);
    }

    private protected virtual void EmitBlock(FlowBlock b)
    {
        il.Mark(blockLabels[b.Index - firstBlock]);
        groups = program.Checked ? AccessGroupPass.Run(b, program.Proven) : [];
        int count = b.End == BlockEnd.Fall ? b.Body.Count : b.Body.Count - 1;
        for (int n = 0; n < count; n++)
        {
            current = b.Body[n];
            Arm(true);
            if (current.Guard < 0) { EmitInstruction(current); continue; }
            Label skip = il.NewLabel();
            EmitGuard(skip);
            EmitInstruction(current);
            il.Mark(skip);
        }
        if (b.End == BlockEnd.Fall) GoTo(b.Next, b.Index + 1);
        else
        {
            current = b.Body[^1];
            Arm(true);
            EmitEnd(b);
        }
        Arm(false);
        // Registers of this block only give their locals back.
        foreach ((int register, _) in blockLocals) registerLocals[register] = null;
        blockLocals.Clear();
        Array.Clear(poolUsed);
    }

    /// <summary>Opens or shuts the instruction at hand to a mutation; always shut where there is none.</summary>
    private protected bool Arm(bool on)
    {
        if (mutation is null) return false;
        bool was = mutation.IsArmed;
        mutation.IsArmed = on && (current.Origin ?? current).Opcode.Text == mutation.Instruction;
        return was;
    }

    private protected void EmitGuard(Label whenFalse)
    {
        il.Ldloc(Local(current.Guard));
        if (current.GuardNegated) il.Brtrue(whenFalse);
        else il.Brfalse(whenFalse);
    }

    private protected virtual LocalBuilder Local(int register)
    {
        if (registerLocals[register] is { } known) return known;
        int kind = (int)g.Classes[register];
        if (g.OnlyBlock[register] < 0) return registerLocals[register] = il.NewLocal(LocalTypes[kind]);
        LocalBuilder local = Temporary(kind);
        blockLocals.Add((register, local));
        return registerLocals[register] = local;
    }

    /// <summary>A local that is free until the end of the block.</summary>
    private protected LocalBuilder Temporary(int kind)
    {
        List<LocalBuilder> pool = pools[kind];
        if (poolUsed[kind] == pool.Count) pool.Add(il.NewLocal(LocalTypes[kind]));
        return pool[poolUsed[kind]++];
    }

    private protected LocalBuilder Temporary(RegisterClass kind) => Temporary((int)kind);

    private protected void Context(string field)
    {
        il.Ldarg(0);
        il.Ldfld(ContextFields[field]);
    }

    private protected void Slot(string field)
    {
        il.Ldloc(slot!);
        il.Ldfld(SlotFields[field]);
    }

    private protected void SetSlot(string field, Action value)
    {
        il.Ldloc(slot!);
        value();
        il.Stfld(SlotFields[field]);
    }

    private protected void FrameAddress(int offset)
    {
        bool was = Arm(false);
        il.Ldloc(frame!);
        il.LdcI4(offset);
        il.Op(OpCodes.Conv_I);
        il.Add();
        Arm(was);
    }

    private protected void Call(string helper)
    {
        if (!Helpers.TryGetValue(helper, out MethodInfo? m)) throw new InvalidOperationException($"no helper {helper}");
        il.Call(m);
    }

    private protected PtxException Unsupported(string why = "") => new(PtxException.NoBinaryForGpu,
        $"instruction '{current.Opcode.Text}'{(why == "" ? "" : $" ({why})")} in {f.Name} is not supported by the software device", current.Line);
}
