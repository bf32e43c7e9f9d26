using System.Runtime.InteropServices;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Ranges;
using TreCr.SoftDevice.Emit;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Cache;

/// <summary>What is known of a compiled kernel beside its code, as bytes and back.</summary>
static unsafe class KernelFacts
{
    /// <param name="declaredLocalBytes">of its local variables, which a program may ask for before it launches</param>
    public static byte[] Save(CompiledKernel k, int declaredLocalBytes)
    {
        MemoryStream bytes = new();
        BinaryWriter w = new(bytes);
        foreach (int n in (ReadOnlySpan<int>)[k.StaticSharedBytes, declaredLocalBytes, k.DynamicSharedOffset, k.ParameterBytes, k.FrameBytes, k.LocalBytes, k.InstructionCount]) w.Write(n);
        foreach (bool b in (ReadOnlySpan<bool>)[k.UsesSlots, k.UsesMatrices, k.UsesWarps, k.IsLight, k.OnlyComputes, k.MakeSimd is not null]) w.Write(b);
        Write(w, k.ChunkOfState, n => w.Write(n));
        for (int s = 0; s < k.ChunkOfState.Length; s++)
        {
            w.Write(k.StateFrameBytes[s]);
            w.Write(k.StateLocalBytes[s]);
        }
        Write(w, k.Functions, f => { w.Write(f.Name); w.Write(f.State); });
        Write(w, k.ShapeForms, w.Write);
        Write(w, k.FragmentForms, w.Write);
        w.Write(k.Ranges is not null);
        if (k.Ranges is { } r)
        {
            Write(w, r.Nodes, n => { w.Write((byte)n.Op); w.Write((byte)n.Type); w.Write(n.A); w.Write(n.B); w.Write(n.Immediate); w.Write(n.Loop); });
            Write(w, r.Loops, l => { w.Write(l.Start); w.Write(l.Step); w.Write(l.Bound); w.Write(l.Relation); w.Write((byte)l.Type); w.Write(l.Late); w.Write(l.Entered); });
            Write(w, r.Accesses, a => { w.Write(a.Node); w.Write(a.Offset); w.Write(a.Bytes); w.Write((byte)a.Space); });
        }
        return bytes.ToArray();
    }

    /// <summary>Bytes of static shared memory, and of declared local variables.</summary>
    public static (int Shared, int Local) Sizes(byte[] facts) => (BitConverter.ToInt32(facts, 0), BitConverter.ToInt32(facts, 4));

    /// <param name="canGroup">its threads can run in groups</param>
    /// <param name="load">makes its methods when they are asked for</param>
    public static CompiledKernel Read(byte[] facts, string name, ISymbolAddresses addresses, Func<ChunkMethod[]> load, out bool canGroup)
    {
        BinaryReader r = new(new MemoryStream(facts));
        int[] numbers = [.. Enumerable.Range(0, 7).Select(_ => r.ReadInt32())];
        bool[] flags = [.. Enumerable.Range(0, 6).Select(_ => r.ReadBoolean())];
        int[] chunkOfState = [.. Read(r, r.ReadInt32)];
        nuint states = (nuint)chunkOfState.Length;
        CompiledKernel k = new()
        {
            Name = name, ChunkOfState = chunkOfState, LoadChunks = load, IsChecked = true,
            StaticSharedBytes = numbers[0], DynamicSharedOffset = numbers[2], ParameterBytes = numbers[3], FrameBytes = numbers[4], LocalBytes = numbers[5], InstructionCount = numbers[6],
            UsesSlots = flags[0], UsesMatrices = flags[1], UsesWarps = flags[2], IsLight = flags[3], OnlyComputes = flags[4],
            StateFrameBytes = (int*)NativeMemory.AllocZeroed(states, 4), StateLocalBytes = (int*)NativeMemory.AllocZeroed(states, 4),
        };
        canGroup = flags[5];
        for (nuint s = 0; s < states; s++) (k.StateFrameBytes[s], k.StateLocalBytes[s]) = (r.ReadInt32(), r.ReadInt32());
        k.Functions = Read(r, () => (r.ReadString(), r.ReadInt32()));
        foreach ((string function, int state) in k.Functions) k.FunctionStates[addresses.Of(function)] = state;
        k.ShapeForms = Read(r, r.ReadString);
        k.Shapes = [.. k.ShapeForms.Select(f => MatrixShape.Parse(new(f))!)];
        k.FragmentForms = Read(r, r.ReadString);
        k.Fragments = [.. k.FragmentForms.Select(f => new PtxOpcode(f)).Select(op => new FragmentMove(MatrixShape.ParseMove(op)!, op.Space, op.Has("col"), op.Has("store")))];
        if (r.ReadBoolean())
        {
            RangeProgram ranges = k.Ranges = new();
            ranges.Nodes.AddRange(Read(r, () => new RangeNode((RangeOp)r.ReadByte(), (PtxType)r.ReadByte(), r.ReadInt32(), r.ReadInt32(), r.ReadInt64(), r.ReadInt32())));
            ranges.Loops.AddRange(Read(r, () => new RangeLoop(r.ReadInt32(), r.ReadInt32(), r.ReadInt32(), r.ReadString(), (PtxType)r.ReadByte(), r.ReadBoolean(), r.ReadBoolean())));
            // The instruction is for who compiles: that is done from the text.
            ranges.Accesses.AddRange(Read(r, () => new RangeAccess(null!, r.ReadInt32(), r.ReadInt64(), r.ReadInt32(), (PtxSpace)r.ReadByte())));
        }
        return k;
    }

    static void Write<T>(BinaryWriter w, IReadOnlyCollection<T> items, Action<T> write)
    {
        w.Write(items.Count);
        foreach (T item in items) write(item);
    }

    static List<T> Read<T>(BinaryReader r, Func<T> read)
    {
        int count = r.ReadInt32();
        List<T> items = new(count);
        for (int n = 0; n < count; n++) items.Add(read());
        return items;
    }

    /// <summary>How a kernel runs in groups; null: it cannot.</summary>
    public static byte[] Save(GroupShape? shape)
    {
        if (shape is not { } s) return [];
        MemoryStream bytes = new();
        BinaryWriter w = new(bytes);
        w.Write(s.Lanes); w.Write(s.TidIsAffine); w.Write(s.UsesGroups); w.Write(s.WithMasks); w.Write(s.Blocks); w.Write(s.FrameBytes);
        return bytes.ToArray();
    }

    public static GroupShape? ReadShape(byte[] facts)
    {
        if (facts.Length == 0) return null;
        BinaryReader r = new(new MemoryStream(facts));
        return new(r.ReadInt32(), r.ReadBoolean(), r.ReadBoolean(), r.ReadBoolean(), r.ReadInt32(), r.ReadInt32());
    }
}
