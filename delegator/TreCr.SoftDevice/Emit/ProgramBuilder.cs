using System.Runtime.InteropServices;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Passes;
using TreCr.Ptx.Ranges;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Compiles one kernel: finds the functions it needs, places shared memory, cuts code into methods that RyuJIT optimises, emits.</summary>
sealed unsafe class ProgramBuilder
{
    /// <summary>Deepest stack of device function calls, bytes of frames and of local memory per thread.</summary>
    const int CallStackBytes = 16 << 10, CallLocalBytes = 16 << 10;
    const int WholeKernelLimit = 1000;

    public PtxModule Module { get; }
    public ISymbolAddresses Addresses { get; }
    public bool Checked { get; }
    /// <summary>Some thread may stop in the middle, so slots and frames are used.</summary>
    public bool UsesSlots { get; private set; }
    /// <summary>Set while emitting: a function's address is taken or called through.</summary>
    public bool NeedsIndirect { get; set; }
    /// <summary>Accesses that are emitted without a check: the launch has shown that they cannot fault.</summary>
    public HashSet<PtxInstruction> Proven { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Set while emitting: shapes of the kernel's matrix products, and whether there are matrix instructions at all.</summary>
    public List<MatrixShape> Shapes { get; } = [];
    /// <summary>the same of the matrices that it loads and stores</summary>
    public List<FragmentMove> Fragments { get; } = [];
    public bool UsesMatrices { get; set; }
    readonly Dictionary<string, int> shapeNumbers = [];

    /// <summary>What they are of, as written.</summary>
    public List<string> ShapeForms { get; } = [];
    public List<string> FragmentForms { get; } = [];

    /// <summary>What is emitted is written down too (<see cref="IlRecording"/>).</summary>
    public bool Records => Addresses is NotedAddresses;

    /// <summary>The address of a variable, a function, or one of <see cref="ConstantTables"/>: the only way by which addresses come into code.</summary>
    public ulong AddressOf(string name) => Addresses is NotedAddresses || name[0] != '@' || name == Backend.SoftModule.HeapName ? Addresses.Of(name) : ConstantTables.Of(name);

    /// <summary>Adds a wmma.load or wmma.store.</summary>
    public void AddFragment(PtxOpcode op, Fragment fragment, bool byColumns)
    {
        Fragments.Add(new(fragment, op.Space, byColumns, op.Has("store")));
        FragmentForms.Add(op.Text);
    }

    /// <summary>A shape's number, one for each spelling.</summary>
    public int ShapeOf(PtxOpcode op, MatrixShape shape)
    {
        if (shapeNumbers.TryGetValue(op.Text, out int known)) return known;
        Shapes.Add(shape);
        ShapeForms.Add(op.Text);
        return shapeNumbers[op.Text] = Shapes.Count - 1;
    }

    readonly List<FlowGraph> graphs = [];
    readonly Dictionary<string, int> stateBases = [];
    readonly Dictionary<PtxVariable, int> sharedOffsets = [];
    int staticShared, stateCount;

    public ProgramBuilder(PtxModule module, ISymbolAddresses addresses, bool isChecked)
    {
        Module = module;
        Addresses = addresses;
        Checked = isChecked;
    }

    /// <summary>Instructions in a method at most; tests make it small to exercise the borders between methods.</summary>
    internal static int LargestMethod { get; set; } = int.MaxValue;

    /// <summary>For the tests of the tests.</summary>
    internal static Mutation? Mutation { get; set; }

    /// <summary>False: threads run one by one always (TRECR_SOFT_SIMD=0; 256 says how wide vectors are at most, see <see cref="VectorWidth"/>).</summary>
    internal static bool UseSimd { get; set; } = Environment.GetEnvironmentVariable("TRECR_SOFT_SIMD") != "0";

    /// <summary>Instructions of a kernel that is compiled for groups at most, and of one of its blocks.</summary>
    const int SimdLimit = 400, SimdBlock = 200;

    /// <summary>Values that differ between lanes, living at once, of a kernel that is better off in groups of 32: each takes four of AVX2's sixteen registers then, or two of AVX-512's thirty-two.</summary>
    static int LightPressure => VectorWidth.For(32).Bytes == 64 ? 10 : 3;

    /// <summary>Every block can be begun at: for threads that have left a group.</summary>
    bool resumable;

    /// <summary>Compiles a kernel for threads that can begin at every block.</summary>
    public CompiledKernel CompileResumable(PtxFunction entry)
    {
        for (int budget = int.MaxValue; ; budget = budget == int.MaxValue ? SimdBlock : budget / 2)
        {
            ProgramBuilder builder = new(Module, Addresses, Checked) { resumable = true };
            if (builder.TryCompile(entry, budget) is { } kernel) return kernel;
            if (budget <= 8) throw new PtxException(PtxException.NoBinaryForGpu, $"{entry.Name} cannot be cut into methods that are small enough");
        }
    }

    /// <exception cref="PtxException">209: an instruction that is not supported, by name; 218: text that makes no sense.</exception>
    public static CompiledKernel Compile(PtxModule module, PtxFunction entry, ISymbolAddresses addresses, bool isChecked)
    {
        long since = CompileTiming.Start();
        // First as one method; with ever smaller pieces as long as RyuJIT's limits are exceeded.
        int instructions = entry.Body.Count;
        for (int budget = Math.Min(LargestMethod, instructions <= WholeKernelLimit ? int.MaxValue : 400); ; budget = budget == int.MaxValue ? 400 : budget / 2)
        {
            ProgramBuilder builder = new(module, addresses, isChecked);
            if (builder.TryCompile(entry, Math.Max(budget, 8)) is { } kernel)
            {
                CompileTiming.Tell("emit threads", entry.Name, since, instructions);
                return kernel;
            }
            if (budget <= 8) throw new PtxException(PtxException.NoBinaryForGpu, $"{entry.Name} cannot be cut into methods that are small enough");
        }
    }

    CompiledKernel? TryCompile(PtxFunction entry, int budget)
    {
        int maxBlock = budget == int.MaxValue ? 4000 : budget;
        foreach (PtxFunction f in Closure(entry)) graphs.Add(PassList.Run(f, resumable ? SimdBlock : maxBlock));
        if (resumable)
            foreach (FlowBlock b in graphs[0].Blocks) b.IsEntryPoint = true;
        List<(FlowGraph Graph, int First, int End)> cuts = [];
        foreach (FlowGraph g in graphs)
        {
            stateBases[g.Function.Name] = stateCount;
            stateCount += g.Blocks.Count;
            int first = 0, count = 0;
            for (int n = 0; n < g.Blocks.Count; n++)
            {
                if (n > first && count + g.Blocks[n].Body.Count > budget)
                {
                    cuts.Add((g, first, n));
                    first = n;
                    count = 0;
                }
                count += g.Blocks[n].Body.Count;
            }
            cuts.Add((g, first, g.Blocks.Count));
        }
        UsesSlots = resumable || cuts.Count > 1 || graphs.Exists(g => g.Suspends) || entry.Locals.Values.Any(v => v.Space == PtxSpace.Param && graphs[0].CallParameterOffset.ContainsKey(v.Name));
        LayoutShared(graphs.Select(g => g.Function));
        ChunkMethod[] chunks = new ChunkMethod[cuts.Count];
        CompiledKernel kernel = new()
        {
            Name = entry.Name, Chunks = chunks, ChunkOfState = new int[stateCount], UsesSlots = UsesSlots, ParameterBytes = entry.ParameterBytes,
            InstructionCount = graphs.Sum(g => g.InstructionCount),
            StateFrameBytes = (int*)NativeMemory.AllocZeroed((nuint)stateCount, 4), StateLocalBytes = (int*)NativeMemory.AllocZeroed((nuint)stateCount, 4),
        };
        for (int n = 0; n < cuts.Count; n++)
        {
            (FlowGraph g, int first, int end) = cuts[n];
            int stateBase = stateBases[g.Function.Name];
            ChunkMethod? method = ScalarEmitter.Emit(this, g, stateBase, first, end, out string size);
            if (method is null) return null;
            chunks[n] = method;
            kernel.Size += size + "; ";
            for (int s = first; s < end; s++) kernel.ChunkOfState[stateBase + s] = n;
        }
        bool calls = graphs.Count > 1 || graphs.Exists(g => g.Calls);
        kernel.FrameBytes = UsesSlots ? graphs[0].FrameBytes + (calls ? CallStackBytes : 0) : 0;
        kernel.LocalBytes = graphs[0].LocalBytes + (graphs.Count > 1 ? CallLocalBytes : 0);
        foreach (FlowGraph g in graphs)
        {
            int state = stateBases[g.Function.Name];
            kernel.StateFrameBytes[state] = g.FrameBytes;
            kernel.StateLocalBytes[state] = g.LocalBytes;
            if (!g.Function.IsEntry) kernel.Functions.Add((g.Function.Name, state));
        }
        foreach ((string name, int state) in kernel.Functions) kernel.FunctionStates[Addresses.Of(name)] = state;
        if (Checked && Mutation is null && (kernel.Ranges = RangePass.Run(graphs[0], ConstantAddress)) is not null)
            kernel.Recompile = proven =>
            {
                foreach (int n in proven) Proven.Add(kernel.Ranges.Accesses[n].Instruction);
                ChunkMethod?[] fast = [.. cuts.Select(c => ScalarEmitter.Emit(this, c.Graph, stateBases[c.Graph.Function.Name], c.First, c.End, out _))];
                return Array.TrueForAll(fast, f => f is not null) ? fast.OfType<ChunkMethod>().ToArray() : null;
            };
        if (!resumable && !calls && UseSimd && Mutation is null && VectorMath.IsSupported && entry.Body.Count <= SimdLimit)
        {
            kernel.UsesWarps = graphs[0].Blocks.Exists(b => b.End == BlockEnd.Suspend && !(b.Body[^1].Name is "bar" or "barrier" && !b.Body[^1].Opcode.Has("warp")));
            kernel.IsLight = PressurePass.Run(graphs[0], ShapePass.Run(graphs[0], true)) <= LightPressure;
            kernel.OnlyComputes = LoopPass.OnlyCompute(graphs[0]);
            kernel.MakeSimd = (lanes, tidIsAffine) => MakeSimd(entry, lanes, tidIsAffine);
            kernel.MakeFastSimd = (variant, proven) => EmitSimd(entry, variant.Facts, variant.Shape, proven.Select(n => kernel.Ranges!.Accesses[n].Instruction));
        }
        kernel.Shapes = Shapes;
        kernel.Fragments = Fragments;
        kernel.ShapeForms = ShapeForms;
        kernel.FragmentForms = FragmentForms;
        kernel.Children = ((Addresses as NotedAddresses)?.Inner ?? Addresses) as IChildKernels;
        kernel.IsChecked = Checked;
        kernel.UsesMatrices = UsesMatrices;
        kernel.StaticSharedBytes = staticShared;
        kernel.DynamicSharedOffset = staticShared + 15 & ~15;
        return kernel;
    }

    /// <summary>Compiles for groups of threads in lockstep. Null: the kernel does something that only single threads can, or would be too big.</summary>
    public SimdVariant? MakeSimd(PtxFunction entry, int lanes, bool tidIsAffine)
    {
        long since = CompileTiming.Start();
        FlowGraph g = PassList.Run(entry, SimdBlock);
        bool usesGroups = g.Blocks.Exists(b => b.IsSpinEdge || b.End == BlockEnd.Suspend && b.Body[^1].Name is "bar" or "barrier" && !b.Body[^1].Opcode.Has("warp"));
        // With masks where lanes part; without where that would be too big, or the blocks are not laid out for it.
        Divergence? parted = UseMasks ? DivergencePass.Run(g, tidIsAffine) : null;
        foreach (Divergence? divergence in parted is null ? (Divergence?[])[null] : [parted, null])
        {
            GroupFacts facts = FactsOf(g, divergence, lanes, tidIsAffine);
            GroupShape shape = new(lanes, tidIsAffine, usesGroups, divergence is not null, g.Blocks.Count, facts.Layout.FrameBytes);
            if (EmitSimd(entry, facts, shape, []) is not { } methods) continue;
            CompileTiming.Tell("emit groups", entry.Name, since, g.InstructionCount);
            return new(shape, new(facts), methods, new(() => EmitMasked(entry, facts, shape)), new(() => CompileResumable(entry)));
        }
        return null;
    }

    static GroupFacts FactsOf(FlowGraph g, Divergence? divergence, int lanes, bool tidIsAffine)
    {
        Shapes shapes = divergence?.Shapes ?? ShapePass.Run(g, tidIsAffine);
        return new(g, shapes, divergence, SimdLayout.Of(g, shapes, lanes, tidIsAffine));
    }

    /// <summary>What <see cref="MakeSimd"/> found out about a kernel of that shape.</summary>
    public static GroupFacts FactsOf(PtxFunction entry, GroupShape shape)
    {
        FlowGraph g = PassList.Run(entry, SimdBlock);
        return FactsOf(g, shape.WithMasks ? DivergencePass.Run(g, shape.TidIsAffine) : null, shape.Lanes, shape.TidIsAffine);
    }

    /// <summary>For tests: groups also where threads one by one are faster.</summary>
    internal static bool AlwaysGroups { get; set; }

    /// <summary>For tests: false gives groups up wherever their lanes part.</summary>
    internal static bool UseMasks { get; set; } = true;

    ChunkMethod[]? EmitSimd(PtxFunction entry, GroupFacts facts, GroupShape shape, IEnumerable<PtxInstruction> proven)
    {
        ProgramBuilder builder = ForGroups(entry, facts.Graph);
        foreach (PtxInstruction i in proven) builder.Proven.Add(i);
        try
        {
            return SimdEmitter.Emit(builder, facts.Graph, facts.Shapes, facts.Divergence, facts.Layout, shape.Lanes, shape.UsesGroups, out _) is { } method ? [method] : null;
        }
        catch (NotVectorException)
        {
            return null;
        }
    }

    /// <summary>Compiles for groups whose lanes have parted. Null: masks cannot do it, or it would be too big.</summary>
    public MaskedMethod? EmitMasked(PtxFunction entry, GroupFacts facts, GroupShape shape)
    {
        long since = CompileTiming.Start();
        try
        {
            return facts.Divergence is null ? null : SimdEmitter.EmitMasked(ForGroups(entry, facts.Graph), facts.Graph, facts.Shapes, facts.Divergence, facts.Layout, shape.Lanes, shape.UsesGroups);
        }
        catch (NotVectorException)
        {
            return null;
        }
        finally
        {
            CompileTiming.Tell("emit masked", entry.Name, since, facts.Graph.InstructionCount);
        }
    }

    ProgramBuilder ForGroups(PtxFunction entry, FlowGraph g)
    {
        ProgramBuilder builder = new(Module, Addresses, Checked);
        builder.graphs.Add(g);
        builder.LayoutShared(builder.Closure(entry));
        return builder;
    }

    /// <summary>The entry, then every function it can reach: by name, or, where an address is taken or called through, all whose address the module takes.</summary>
    List<PtxFunction> Closure(PtxFunction entry)
    {
        List<PtxFunction> found = [entry];
        bool indirect = false;
        for (int n = 0; n < found.Count; n++)
        {
            foreach (PtxInstruction i in found[n].Body)
            {
                indirect |= i.Name == "call" && i.Operands.Any(o => o.Kind == OperandKind.Register);
                foreach (PtxOperand o in i.Operands)
                {
                    if (o.Kind != OperandKind.Symbol || found[n].Locals.ContainsKey(o.Name!) || !Module.FunctionsByName.TryGetValue(o.Name!, out PtxFunction? callee)) continue;
                    if (callee.IsExtern || callee.IsEntry) continue;
                    if (!found.Contains(callee)) found.Add(callee);
                }
            }
            if (!indirect || n != found.Count - 1) continue;
            indirect = false;
            HashSet<string> taken = TakenAddresses();
            foreach (PtxFunction f in Module.Functions)
                if (!f.IsEntry && !f.IsExtern && !found.Contains(f) && taken.Contains(f.Name)) found.Add(f);
        }
        return found;
    }

    /// <summary>Names in initialisers, and in instructions other than calls by name: of functions among them, the address may be anywhere.</summary>
    HashSet<string> TakenAddresses()
    {
        HashSet<string> taken = [.. Module.Variables.SelectMany(v => v.Fixups).Select(x => x.Symbol)];
        foreach (PtxFunction f in Module.Functions)
        {
            taken.UnionWith(f.Locals.Values.SelectMany(v => v.Fixups).Select(x => x.Symbol));
            foreach (PtxInstruction i in f.Body)
                if (i.Name != "call")
                    foreach (PtxOperand o in i.Operands)
                        if (o.Name is { } name) taken.Add(name);
        }
        return taken;
    }

    /// <summary>Bytes of static shared memory a kernel will have, without compiling it.</summary>
    public static int StaticSharedBytes(PtxModule module, PtxFunction entry)
    {
        ProgramBuilder builder = new(module, null!, false);
        builder.LayoutShared(builder.Closure(entry));
        return builder.staticShared;
    }

    /// <summary>Static shared variables of all functions one after the other; extern arrays share the place behind them.</summary>
    void LayoutShared(IEnumerable<PtxFunction> functions)
    {
        HashSet<string> used = [];
        foreach (PtxFunction f in functions)
            foreach (PtxInstruction i in f.Body)
                foreach (PtxOperand o in i.Operands)
                {
                    if (o.Name is not null) used.Add(o.Name);
                    foreach (PtxOperand e in o.Elements) if (e.Name is not null) used.Add(e.Name);
                }
        List<PtxVariable> dynamic = [];
        void Place(PtxVariable v)
        {
            if (v.Space != PtxSpace.Shared || sharedOffsets.ContainsKey(v)) return;
            if (v.Extern && v.SizeBytes == 0) { dynamic.Add(v); return; }
            staticShared = staticShared + v.AlignBytes - 1 & -v.AlignBytes;
            sharedOffsets[v] = staticShared;
            staticShared += (int)v.SizeBytes;
        }
        foreach (PtxVariable v in Module.Variables) if (used.Contains(v.Name)) Place(v);
        foreach (PtxFunction f in functions)
            foreach (PtxVariable v in f.Locals.Values) Place(v);
        foreach (PtxVariable v in dynamic) sharedOffsets[v] = staticShared + 15 & ~15;
    }

    long? ConstantAddress(string name)
    {
        if (!graphs[0].Function.Locals.TryGetValue(name, out PtxVariable? v) && !Module.VariablesByName.TryGetValue(name, out v)) return null;
        return v.Space switch { PtxSpace.Shared => SharedOffset(v), PtxSpace.Global or PtxSpace.Const => (long)AddressOf(v.Name), _ => null };
    }

    public long SharedOffset(PtxVariable v) => sharedOffsets.TryGetValue(v, out int at) ? at : throw new PtxException(PtxException.InvalidPtx, $"shared variable {v.Name} is not placed");

    public int StateOf(string function) => stateBases.TryGetValue(function, out int state) ? state : throw new PtxException(PtxException.InvalidPtx, $"call of {function}, which is not defined");
}
