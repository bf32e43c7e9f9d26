using System.Runtime.InteropServices;
using System.Text;
using TreCr.Calls.Cuda;
using TreCr.Ptx;
using TreCr.Ptx.Ast;
using TreCr.Ptx.Container;
using TreCr.Ptx.Parse;
using TreCr.Ptx.Passes;
using TreCr.SoftDevice.Cache;
using TreCr.SoftDevice.Emit;
using TreCr.SoftDevice.Engine;
using TreCr.SoftDevice.Streams;
using TreCr.XxHash;

namespace TreCr.SoftDevice.Backend;

/// <summary>A loaded module: parsed text, and one block of device memory that holds its globals, constants and the addresses of its functions.</summary>
/// <remarks>The block comes from the GMMU, so it is saved with the arena; a module loaded again at the same address finds its variables as they were.</remarks>
sealed unsafe class SoftModule : ISymbolAddresses, IChildKernels
{
    public const int FunctionAddressBytes = 16;
    readonly Dictionary<string, ulong> addresses = [];

    public required SoftContext Context { get; init; }
    public required Func<int, ulong?> Limits { get; init; }
    public PtxModule Ptx { get; private init; } = null!;
    /// <summary>of its text</summary>
    public UInt128 Hash { get; private init; }
    /// <summary>where compiled kernels are kept; null: nowhere</summary>
    public KernelCache? Cache { get; private init; }
    /// <summary>device address and size of the block; 0 where the module has no variables and no functions</summary>
    public ulong Block { get; private set; }
    public ulong BlockBytes { get; private set; }
    /// <summary>address of the module's managed variables, which the program reaches too; 0 where it has none</summary>
    public ulong ManagedBlock { get; private set; }
    /// <summary>device address of what malloc and free of the module's kernels use (<see cref="DeviceHeap"/>); 0 where they are not declared</summary>
    public ulong Heap { get; private set; }
    /// <summary>Its name among the addresses; no PTX name has this sign.</summary>
    public const string HeapName = "@heap";
    public Dictionary<string, SoftFunction> Functions { get; } = [];
    /// <summary>CUlimit: bytes of that heap</summary>
    const int MallocHeap = 2;

    public int? DeviceAttribute(int attribute) => SoftDeviceFacts.Attribute(attribute, Context.Device);
    public ulong? Limit(int limit) => Limits(limit);

    public ulong Of(string name) => addresses.TryGetValue(name, out ulong a) ? a : throw new PtxException(PtxException.InvalidPtx, $"{name} has no definition in this module");
    public bool TryGetGlobal(string name, out ulong address, out ulong bytes)
    {
        bytes = 0;
        if (!addresses.TryGetValue(name, out address) || !Ptx.VariablesByName.TryGetValue(name, out PtxVariable? v) || v.Reference != PtxReference.None) return false;
        bytes = (ulong)v.SizeBytes;
        return true;
    }

    /// <summary>Where the address of the image stands that a texture or surface reference is bound to.</summary>
    public bool TryGetReference(string name, PtxReference kind, out ulong address)
        => addresses.TryGetValue(name, out address) && Ptx.VariablesByName.TryGetValue(name, out PtxVariable? v) && v.Reference == kind;

    /// <summary>Parses an image and places its variables.</summary>
    /// <exception cref="PtxException">200, 209, 218 or 222.</exception>
    public static SoftModule Load(ReadOnlySpan<byte> image, SoftContext context, int deviceSm, ZstdDecoder? zstd, Func<int, ulong?> limits, Func<ulong, ulong> allocate, Func<ulong, ulong> allocateManaged, KernelCache? cache = null)
    {
        long since = CompileTiming.Start();
        PtxModule ptx = Parse(image, deviceSm, zstd, out UInt128 hash);
        CompileTiming.Tell("load", ptx.Functions.Count > 0 ? ptx.Functions[0].Name : "", since, image.Length);
        if (ptx.TargetSm > deviceSm || ptx.TargetSuffix != "" && ptx.TargetSm != deviceSm && ptx.TargetSuffix != "f")
            throw new PtxException(PtxException.InvalidPtx, $"the PTX is for sm_{ptx.TargetSm}{ptx.TargetSuffix}, the device is sm_{deviceSm}");
        SoftModule m = new() { Context = context, Limits = limits, Ptx = ptx, Hash = hash, Cache = cache };
        m.Place(allocate, allocateManaged);
        if (ptx.Functions.Exists(f => f.IsExtern && f.Name is "malloc" or "free")) m.PlaceHeap(Math.Max(limits(MallocHeap) ?? 0, 4096), allocate);
        return m;
    }

    /// <summary>One image, or several that are linked here.</summary>
    static PtxModule Parse(ReadOnlySpan<byte> image, int deviceSm, ZstdDecoder? zstd, out UInt128 hash)
    {
        // The driver assembles a text when it is loaded, and says then what is wrong with it; what a fat binary holds was assembled by the compiler that wrote it.
        if (!LinkedImage.IsLinked(image))
        {
            ReadOnlySpan<byte> text = TextOf(image, deviceSm, zstd);
            hash = XxHash128.HashToUInt128(text);
            return PtxParser.Parse(text, bodiesLater: image.Length >= 4 && MemoryMarshal.Read<uint>(image) == Fatbin.Magic);
        }
        hash = XxHash128.HashToUInt128(image);
        List<PtxModule> pieces = [];
        foreach (Range piece in LinkedImage.Pieces(image) ?? throw new PtxException(PtxException.InvalidImage, "an image to be linked is cut off")) pieces.Add(PtxParser.Parse(TextOf(image[piece], deviceSm, zstd)));
        return pieces.Count > 0 ? LinkPass.Run(pieces) : throw new PtxException(PtxException.InvalidImage, "nothing to link");
    }

    static ReadOnlySpan<byte> TextOf(ReadOnlySpan<byte> image, int deviceSm, ZstdDecoder? zstd)
    {
        uint magic = image.Length >= 4 ? MemoryMarshal.Read<uint>(image) : 0;
        if (magic == Fatbin.Magic)
        {
            long since = CompileTiming.Start();
            ReadOnlySpan<byte> unpacked = Fatbin.SelectPtx(image, deviceSm, zstd);
            CompileTiming.Tell("unpack", "", since, unpacked.Length);
            return unpacked;
        }
        if (magic == Fatbin.ElfMagic) throw new PtxException(PtxException.NoBinaryForGpu, "the image is machine code (cubin); the software device needs PTX");
        if (magic == Fatbin.WrapperMagic) throw new PtxException(PtxException.InvalidImage, "a fatbin wrapper holds pointers of the program; its fat binary is needed");
        int end = image.IndexOf((byte)0);
        ReadOnlySpan<byte> text = end >= 0 ? image[..end] : image;
        if (text.IndexOf(".version"u8) < 0) throw new PtxException(text.IsEmpty || text.IndexOfAnyExceptInRange((byte)9, (byte)126) >= 0 ? PtxException.InvalidImage : PtxException.InvalidPtx, "the image is neither PTX nor a fat binary");
        return text;
    }

    /// <summary>Gives variables their places in one block, from its start.</summary>
    /// <returns>bytes of the block so far</returns>
    static ulong LayOut(IEnumerable<PtxVariable> variables)
    {
        ulong at = 0;
        foreach (PtxVariable v in variables)
        {
            ulong align = (ulong)Math.Max(v.AlignBytes, 16);
            at = at + align - 1 & ~(align - 1);
            v.Offset = (long)at;
            at += (ulong)Math.Max(v.SizeBytes, 1);
        }
        return at;
    }

    void Place(Func<ulong, ulong> allocate, Func<ulong, ulong> allocateManaged)
    {
        PtxVariable[] placed = [.. Ptx.Variables.Where(v => v.Space is PtxSpace.Global or PtxSpace.Const && !v.Extern)];
        ulong managed = LayOut(placed.Where(v => v.Managed)), at = LayOut(placed.Where(v => !v.Managed));
        ulong functions = at = at + 15 & ~15UL;
        at += (ulong)Ptx.Functions.Count * FunctionAddressBytes;
        BlockBytes = at;
        if (at + managed == 0) return;
        if (at != 0 && (Block = allocate(at)) == 0) throw new OutOfMemoryException("no device memory for the module's variables");
        if (managed != 0 && (ManagedBlock = allocateManaged(managed)) == 0) throw new OutOfMemoryException("no memory for the module's managed variables");
        firstFunction = Block + functions;
        foreach (PtxVariable v in Ptx.Variables)
            if (v.Offset >= 0 && v.Space is PtxSpace.Global or PtxSpace.Const) addresses[v.Name] = (v.Managed ? ManagedBlock : Block) + (ulong)v.Offset;
        for (int n = 0; n < Ptx.Functions.Count; n++) addresses[Ptx.Functions[n].Name] = Block + functions + (ulong)n * FunctionAddressBytes;
        foreach (PtxVariable v in Ptx.Variables)
        {
            if (v.Initial is null || !addresses.TryGetValue(v.Name, out ulong to)) continue;
            Marshal.Copy(v.Initial, 0, (nint)to, v.Initial.Length);
            foreach (AddressFixup x in v.Fixups)
            {
                ulong value = (Of(x.Symbol) + (ulong)x.Addend) >> x.ShiftBits;
                new ReadOnlySpan<byte>(&value, x.SizeBytes).CopyTo(new((byte*)to + x.Offset, x.SizeBytes));
            }
        }
    }

    void PlaceHeap(ulong bytes, Func<ulong, ulong> allocate)
    {
        Heap = allocate(bytes);
        if (Heap == 0) throw new OutOfMemoryException("no device memory for the kernels' heap");
        DeviceHeap.Begin(Heap, bytes);
        addresses[HeapName] = Heap;
    }

    ulong firstFunction;

    /// <summary>A kernel by its device address; null where none stands there.</summary>
    SoftFunction? Find(ulong address)
    {
        ulong number = (address - firstFunction) / FunctionAddressBytes;
        return address >= firstFunction && number < (ulong)Ptx.Functions.Count && (address - firstFunction) % FunctionAddressBytes == 0 ? Find(Ptx.Functions[(int)number].Name) : null;
    }

    public CompiledKernel? KernelAt(ulong address, bool isChecked) => Find(address)?.Compile(isChecked);

    public bool MayLaunch(ulong address, Dim3 grid, Dim3 block, uint sharedBytes) => Find(address) is { } f && f.MayLaunch(grid, block, sharedBytes);

    /// <summary>A kernel by name; null where there is none.</summary>
    public SoftFunction? Find(string name)
    {
        lock (Functions)
        {
            if (Functions.TryGetValue(name, out SoftFunction? known)) return known;
            if (!Ptx.FunctionsByName.TryGetValue(name, out PtxFunction? f) || !f.IsEntry || f.IsExtern) return null;
            return Functions[name] = new SoftFunction(this, f);
        }
    }
}

/// <summary>A kernel of a loaded module; compiled at its first launch.</summary>
sealed class SoftFunction(SoftModule module, PtxFunction ptx)
{
    readonly object compiling = new();
    readonly CachedKernel? cached = module.Cache is { } cache ? new(cache, module.Hash, module.Ptx, ptx, module) : null;
    volatile CompiledKernel? kernel;
    PtxException? failure;

    public SoftModule Module => module;
    public PtxFunction Ptx => ptx;
    public int MaxDynamicSharedBytes = SoftDeviceFacts.SharedPerBlock;
    int staticShared = -1;
    /// <summary>bytes</summary>
    public int StaticShared => staticShared >= 0 ? staticShared : staticShared = cached?.Sizes?.Shared ?? ProgramBuilder.StaticSharedBytes(module.Ptx, ptx);
    /// <summary>bytes of its local variables</summary>
    public int DeclaredLocal => cached?.Sizes?.Local ?? (int)ptx.Locals.Values.Where(v => v.Space == PtxSpace.Local).Sum(v => v.SizeBytes);
    public int PreferredCarveout = -1, CacheConfig;

    /// <summary>Whether the device has room for such blocks, and the kernel allows them.</summary>
    public bool MayLaunch(Dim3 grid, Dim3 block, uint sharedBytes)
    {
        ulong threads = (ulong)block.X * block.Y * block.Z;
        return grid is { X: > 0 and <= int.MaxValue, Y: > 0 and <= 65535, Z: > 0 and <= 65535 } && block is { X: > 0 and <= 1024, Y: > 0 and <= 1024, Z: > 0 and <= 64 } && threads <= (ulong)SoftBackend.Attribute(this, 0)
            && !(Ptx.RequiredThreads && (block.X != Ptx.MaxThreadsX || block.Y != Ptx.MaxThreadsY || block.Z != Ptx.MaxThreadsZ))
            && sharedBytes <= MaxDynamicSharedBytes && sharedBytes + (ulong)StaticShared <= (ulong)SoftDeviceFacts.SharedOptIn;
    }

    /// <summary>The code, compiled now if need be; any thread.</summary>
    /// <exception cref="PtxException">The kernel uses something that is not supported; the same each time.</exception>
    public CompiledKernel Compile(bool isChecked)
    {
        if (kernel is { } done) return done;
        lock (compiling)
        {
            if (kernel is { } other) return other;
            if (failure is not null) throw failure;
            try
            {
                return kernel = cached is not null && isChecked ? cached.Compile() : ProgramBuilder.Compile(module.Ptx, ptx, module, isChecked);
            }
            catch (PtxException e)
            {
                failure = e;
                throw;
            }
        }
    }
}
