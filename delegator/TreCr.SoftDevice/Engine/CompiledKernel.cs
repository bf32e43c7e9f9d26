using System.Runtime.InteropServices;
using TreCr.Ptx.Ranges;
using TreCr.SoftDevice.Emit;

namespace TreCr.SoftDevice.Engine;

/// <summary>Code of one kernel and of the functions it can call, ready to run. Any number of workers may run it at once.</summary>
sealed unsafe class CompiledKernel
{
    public required string Name;
    /// <summary>method that holds each state (block); in a kernel of one method there is one entry</summary>
    public ChunkMethod[] Chunks { get { IsUsed = true; return chunks ??= LoadChunks!(); } init => chunks = value; }
    ChunkMethod[]? chunks;
    /// <summary>the methods, where they were made of the text</summary>
    public ChunkMethod[]? Made => chunks;
    /// <summary>makes the methods when they are first asked for, where they were not given</summary>
    public Func<ChunkMethod[]>? LoadChunks { get; init; }
    /// <summary>somebody has asked for the methods: threads run one by one</summary>
    public volatile bool IsUsed;
    /// <summary>state to method number</summary>
    public required int[] ChunkOfState;
    /// <summary>threads can stop in the middle: slots and frames are needed</summary>
    public bool UsesSlots;
    public int EntryState;
    public int FrameBytes, LocalBytes;
    /// <summary>shared memory known at compile time; dynamic shared memory starts at <see cref="DynamicSharedOffset"/></summary>
    public int StaticSharedBytes, DynamicSharedOffset;
    public int ParameterBytes;
    /// <summary>per state that begins a function: bytes of its frame and of its local variables; native, never freed while the kernel lives</summary>
    public int* StateFrameBytes, StateLocalBytes;
    /// <summary>first states of the functions whose address may be taken</summary>
    public List<(string Name, int State)> Functions = [];
    public Dictionary<ulong, int> FunctionStates = [];
    /// <summary>the instructions that <see cref="Shapes"/> and <see cref="Fragments"/> are of, as written</summary>
    public List<string> ShapeForms = [], FragmentForms = [];
    /// <summary>shapes of its matrix products</summary>
    public List<MatrixShape> Shapes = [];
    public List<FragmentMove> Fragments = [];
    public bool UsesMatrices;
    /// <summary>what it can launch itself; null where it launches nothing</summary>
    public IChildKernels? Children;
    /// <summary>its accesses are checked, and so are those of kernels that it launches</summary>
    public bool IsChecked;
    public int InstructionCount;
    public string Size = "";
    /// <summary>arithmetic of the addresses that depend on parameters and numbers of threads and blocks only; null where there are none</summary>
    public RangeProgram? Ranges;
    /// <summary>compiles the kernel again without the checks of the accesses given (numbers in <see cref="Ranges"/>)</summary>
    public Func<int[], ChunkMethod[]?>? Recompile;
    volatile FastVariant? fast;
    volatile bool specialised;

    public FastVariant? Fast => fast;

    /// <summary>compiles the kernel for groups of so many threads; null where it cannot run so</summary>
    public Func<int, bool, SimdVariant?>? MakeSimd;
    /// <summary>the same without the checks of the accesses given, to a variant made before</summary>
    public Func<SimdVariant, int[], ChunkMethod[]?>? MakeFastSimd;
    readonly Dictionary<(int Lanes, bool TidIsAffine), SimdVariant?> simd = [];

    /// <summary>The code for groups of threads that fits the launch's block; compiled now if need be. Null: threads run one by one.</summary>
    public SimdVariant? SimdFor(GridLaunch launch, AccessMap memory)
    {
        if (MakeSimd is null) return null;
        // tid.x counts up inside every group where rows are whole groups, or there is one row.
        bool row = launch.BlockY == 1 && launch.BlockZ == 1;
        int lanes = UsesWarps || IsLight && (row || OnlyComputes ? launch.BlockThreads : (int)launch.BlockX) % 32 == 0 ? 32 : !row && launch.BlockX % 16 != 0 && launch.BlockX % 8 == 0 ? 8 : 16;
        if (launch.BlockThreads < lanes) return null;
        (int, bool) key = (lanes, row || launch.BlockX % lanes == 0);
        lock (simd)
        {
            if (simd.TryGetValue(key, out SimdVariant? known)) return known;
            SimdVariant? made = MakeSimd(key.Item1, key.Item2);
            if (made is not null && Ranges is not null)
            {
                int[] chosen = Provable(launch, memory);
                if (chosen.Length > 0 && MakeFastSimd!(made, chosen) is { } chunks) made.Fast = new(chunks, chosen);
            }
            return simd[key] = made;
        }
    }

    /// <summary>so few values live at once that groups of 32 threads keep them in registers</summary>
    public bool IsLight;

    /// <summary>Its loops do not touch memory: groups of 32 threads have two operations under way at once where those of 16 wait for one, which is worth more than rows that lie side by side in memory.</summary>
    public bool OnlyComputes;

    /// <summary>it has warp collectives</summary>
    public bool UsesWarps;

    /// <summary>Accesses that a block in the middle of the grid needs no check for.</summary>
    int[] Provable(GridLaunch launch, AccessMap memory)
    {
        bool[] holds = new bool[Ranges!.Accesses.Count];
        (uint, uint, uint) middle = (launch.GridX / 2, launch.GridY / 2, launch.GridZ / 2);
        RangeProof.Run(Ranges, launch, memory, middle, middle, holds);
        return [.. Enumerable.Range(0, holds.Length).Where(n => holds[n])];
    }

    /// <summary>On the first launch: leaves out, in a second variant, the checks that a block in the middle of the grid does not need.</summary>
    /// <remarks>The middle, because accesses beside an array's ends, of the first and last blocks, should not decide for all.</remarks>
    public void Specialise(GridLaunch launch, AccessMap memory)
    {
        if (Ranges is null || specialised) return;
        lock (ChunkOfState)
        {
            if (specialised) return;
            int[] chosen = Provable(launch, memory);
            if (chosen.Length > 0 && Recompile!(chosen) is { } chunks) fast = new(chunks, chosen);
            specialised = true;
            Recompile = null;
        }
    }

    public int StateOfAddress(ulong address) => FunctionStates.TryGetValue(address, out int state) ? state : -1;

    ~CompiledKernel()
    {
        NativeMemory.Free(StateFrameBytes);
        NativeMemory.Free(StateLocalBytes);
    }
}
