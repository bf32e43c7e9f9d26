using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;
using TreCr.Ptx;
using TreCr.Ptx.Container;
using TreCr.Replay;

namespace TreCr.Delegator.Snapshot;

/// <summary>Whether a loaded module could be loaded on the software device.</summary>
/// <param name="Name">for people: the start of its image's hash, and kernels in it where they can be found</param>
/// <param name="Lacks">why it has no PTX that the software device takes; null: it has</param>
/// <param name="Variable">of the module, by name: on a GPU its contents are in memory of the driver's own, which is not saved; null: there is none, or it was not looked for</param>
internal sealed partial record ModulePtx(string Name, string? Lacks, string? Variable)
{
    private const int HashDigits = 12, NamedKernels = 3, ImageArgument = 1, LengthArgument = 2; // arguments of trecrModuleLoad

    /// <param name="load">a logged call of trecrModuleLoad</param>
    /// <param name="onGpu">variables are looked for too</param>
    public static ModulePtx Of(LoggedCall load, bool onGpu)
    {
        foreach ((int argument, ModuleImage fetched) in load.Fetched)
            if (argument == ImageArgument) return Of(fetched.Bytes, onGpu);
        int head = RecordHeader.SizeBytes + 8 * load.ArgumentCount;
        return Of(load.Record.AsSpan(head, (int)Math.Min((ulong)(load.Record.Length - head), load.Argument(LengthArgument))), onGpu);
    }

    public static ModulePtx Of(ReadOnlySpan<byte> image, bool onGpu)
    {
        List<string> kernels = [];
        string? lacks, variable = null;
        try
        {
            lacks = WhyNot(image, kernels);
            if (onGpu && lacks is null) variable = VariableOf(image);
        }
        catch (PtxException e) { lacks = e.Message; }
        string name = $"module {Convert.ToHexStringLower(SHA256.HashData(image))[..HashDigits]}";
        if (kernels.Count > 0) name += $" ({(kernels.Count == 1 ? "kernel" : "kernels")} {string.Join(", ", kernels.Take(NamedKernels))}{(kernels.Count > NamedKernels ? $" and {kernels.Count - NamedKernels} more" : "")})";
        return new ModulePtx(name, lacks, variable);
    }

    private static string? WhyNot(ReadOnlySpan<byte> image, List<string> kernels)
    {
        if (LinkedImage.IsLinked(image))
        {
            foreach (Range piece in LinkedImage.Pieces(image) ?? throw new PtxException(PtxException.InvalidImage, "an image to be linked is cut off"))
                if (WhyNot(image[piece], kernels) is { } reason) return reason;
            return null;
        }
        uint magic = image.Length >= 4 ? MemoryMarshal.Read<uint>(image) : 0;
        if (magic == Fatbin.ElfMagic)
        {
            kernels.AddRange(Cubin.Functions(image));
            return "machine code only";
        }
        if (magic != Fatbin.Magic) return TargetOf(image) is > PortableDevice.Sm and int target ? $"PTX for sm_{target} only" : null;
        List<FatbinEntry> entries = Fatbin.Entries(image);
        if (entries.Any(e => e.Kind == FatbinKind.Ptx && !e.ArchSpecific && e.Sm <= PortableDevice.Sm)) return null;
        foreach (FatbinEntry entry in entries)
            if (entry.Kind == FatbinKind.Elf && entry.Compression != FatbinCompression.Zstd && kernels.Count == 0) kernels.AddRange(Cubin.Functions(Fatbin.Expand(image, entry)));
        return entries.Find(e => e.Kind == FatbinKind.Ptx) is { Kind: FatbinKind.Ptx } newer ? $"PTX for sm_{newer.Sm}{(newer.ArchSpecific ? "a" : "")} only" : "machine code only";
    }

    /// <summary>First variable in global or constant memory: a declaration begins a line and says its space among its first words.</summary>
    private static string? VariableOf(ReadOnlySpan<byte> image)
    {
        if (LinkedImage.IsLinked(image))
        {
            foreach (Range piece in LinkedImage.Pieces(image)!)
                if (VariableOf(image[piece]) is { } name) return name;
            return null;
        }
        string text = Encoding.Latin1.GetString(MemoryMarshal.Read<uint>(image) == Fatbin.Magic ? Fatbin.SelectPtx(image, PortableDevice.Sm) : image);
        return Declaration().Match(text) is { Success: true } found ? found.Groups[1].Value : null;
    }

    [GeneratedRegex(@"^\s*(?:\.(?:visible|weak|common|extern)\s+)*\.(?:global|const)\s[^;={\[]*?([\w$%]+)\s*(?:[;={\[]|$)", RegexOptions.Multiline)]
    private static partial Regex Declaration();

    /// <summary>Number behind <c>.target sm_</c>; 0: none found, which loading will say.</summary>
    private static int TargetOf(ReadOnlySpan<byte> text)
    {
        int at = text.IndexOf(".target"u8);
        if (at < 0) return 0;
        text = text[(at + ".target".Length)..];
        at = text.IndexOf("sm_"u8);
        int number = 0;
        for (int i = at + 3; at >= 0 && i < text.Length && text[i] is >= (byte)'0' and <= (byte)'9' && number < 10_000; i++) number = number * 10 + text[i] - '0';
        return number;
    }
}
