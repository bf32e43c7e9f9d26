using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Cache;

/// <summary>One kernel whose code is kept: each variant is taken from the cache, or else compiled from the kernel's text and given to it. Where everything is kept, the text of the kernel is not even read.</summary>
sealed class CachedKernel
{
    const string Threads = "threads", Resumable = "resumable";

    readonly KernelCache cache;
    readonly UInt128 module;
    readonly PtxFunction entry;
    readonly NotedAddresses addresses;
    readonly IChildKernels? children;
    /// <summary>for what is compiled of the text</summary>
    readonly ProgramBuilder builder;
    readonly Lazy<CompiledKernel> fromText;
    readonly CacheEntry? kept;

    /// <param name="module">hash of the module's text</param>
    public CachedKernel(KernelCache cache, UInt128 module, PtxModule ptx, PtxFunction entry, ISymbolAddresses symbols)
    {
        (this.cache, this.module, this.entry) = (cache, module, entry);
        addresses = new(symbols);
        children = symbols as IChildKernels;
        builder = new(ptx, addresses, true);
        fromText = new(() => ProgramBuilder.Compile(ptx, entry, addresses, true));
        kept = Find(Threads);
    }

    /// <summary>Bytes of static shared memory, and of declared local variables; null where nothing is kept.</summary>
    public (int Shared, int Local)? Sizes => kept is null ? null : KernelFacts.Sizes(kept.Facts);

    UInt128 KeyOf(string variant) => KernelCache.KeyOf(module, entry.Name, variant);

    CacheEntry? Find(string variant) => cache.Find(KeyOf(variant), addresses);

    void Keep(string variant, byte[] facts, IReadOnlyList<Delegate> methods, Func<bool>? isUsed = null) => cache.Keep(KeyOf(variant), addresses, facts, methods, isUsed ?? (() => true));

    byte[] FactsOf(CompiledKernel kernel) => KernelFacts.Save(kernel, (int)entry.Locals.Values.Where(v => v.Space == PtxSpace.Local).Sum(v => v.SizeBytes));

    /// <exception cref="Ptx.PtxException">209, 218: as <see cref="ProgramBuilder.Compile"/></exception>
    public CompiledKernel Compile()
    {
        long since = CompileTiming.Start();
        CompiledKernel kernel;
        bool canGroup;
        if (kept is null)
        {
            kernel = fromText.Value;
            canGroup = kernel.MakeSimd is not null;
            // The code for threads one by one is made in any case; worth keeping where it runs.
            Keep(Threads, FactsOf(kernel), kernel.Made!, () => kernel.IsUsed);
        }
        else
        {
            kernel = KernelFacts.Read(kept.Facts, entry.Name, addresses, () => cache.Load<ChunkMethod>(kept) ?? Chunks(), out canGroup);
            kernel.Children = children;
            CompileTiming.Tell("kept", entry.Name, since, kernel.InstructionCount);
        }
        // From here on through the cache; the originals are for what it does not have.
        (Func<int[], ChunkMethod[]?>? recompile, Func<SimdVariant, int[], ChunkMethod[]?>? makeFastSimd) = (kernel.Recompile, kernel.MakeFastSimd);
        if (kernel.Ranges is not null) kernel.Recompile = proven => Methods($"{Threads} without {string.Join(',', proven)}", () => (recompile ?? fromText.Value.Recompile)!(proven));
        if (!canGroup) return kernel;
        kernel.MakeSimd = MakeSimd;
        kernel.MakeFastSimd = (variant, proven) => Methods($"{Groups(variant.Lanes, variant.Shape.TidIsAffine)} without {string.Join(',', proven)}", () => (makeFastSimd ?? fromText.Value.MakeFastSimd)!(variant, proven));
        return kernel;
    }

    /// <summary>Facts are kept, code is not: it did not run the first time.</summary>
    ChunkMethod[] Chunks()
    {
        CompiledKernel made = fromText.Value;
        Keep(Threads, FactsOf(made), made.Made!);
        return made.Made!;
    }

    static string Groups(int lanes, bool tidIsAffine) => $"groups of {lanes}{(tidIsAffine ? " in a row" : "")}";

    /// <summary>Methods without facts; none where they cannot be made.</summary>
    T[]? Methods<T>(string variant, Func<T[]?> make) where T : Delegate
    {
        if (Find(variant) is { } found && (found.Methods == 0 || cache.Load<T>(found) is not null)) return found.Methods == 0 ? null : cache.Load<T>(found);
        T[]? made = make();
        Keep(variant, [], made ?? []);
        return made;
    }

    SimdVariant? MakeSimd(int lanes, bool tidIsAffine)
    {
        string variant = Groups(lanes, tidIsAffine);
        GroupShape shape;
        ChunkMethod[]? chunks;
        Lazy<GroupFacts> facts;
        if (Find(variant) is { } found && (found.Methods == 0 || cache.Load<ChunkMethod>(found) is not null))
        {
            if (KernelFacts.ReadShape(found.Facts) is not { } known) return null;
            shape = known;
            chunks = cache.Load<ChunkMethod>(found)!;
            facts = new(() => ProgramBuilder.FactsOf(entry, known));
        }
        else
        {
            SimdVariant? made = builder.MakeSimd(entry, lanes, tidIsAffine);
            Keep(variant, KernelFacts.Save(made?.Shape), made?.Chunks ?? []);
            if (made is null) return null;
            shape = made.Shape;
            chunks = made.Chunks;
            facts = new(made.Facts);
        }
        return new(shape, facts, chunks, new(() => Methods<MaskedMethod>($"masked {variant}", () => builder.EmitMasked(entry, facts.Value, shape) is { } masked ? [masked] : null)?[0]), new(MakeResumable));
    }

    CompiledKernel MakeResumable()
    {
        if (Find(Resumable) is { } found && cache.Load<ChunkMethod>(found) is { } chunks)
        {
            CompiledKernel known = KernelFacts.Read(found.Facts, entry.Name, addresses, () => chunks, out _);
            known.Children = children;
            return known;
        }
        CompiledKernel made = builder.CompileResumable(entry);
        Keep(Resumable, FactsOf(made), made.Made!);
        return made;
    }
}
