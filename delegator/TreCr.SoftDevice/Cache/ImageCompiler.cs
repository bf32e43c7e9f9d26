using System.Diagnostics;
using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using TreCr.Ptx.Ast;
using TreCr.SoftDevice.Emit;
using TreCr.XxHash;

namespace TreCr.SoftDevice.Cache;

/// <summary>
/// Compiles what waits in a cache directory: IL into an assembly, and that by Microsoft's crossgen2 to machine code for this processor, as part of one version bubble with the runtime's core library and this
/// assembly, whose methods are inlined as RyuJIT would. 15 ms a method; loaded, it takes 0.3 ms.
/// </summary>
public static class ImageCompiler
{
    internal const string TypeName = "Kernel";
    const int BatchFiles = 64;
    const string Compiled = ".ni.dll"; // of --out-near-input

    internal static string MethodName(int number) => $"M{number}";

    /// <summary>Works until nothing waits. Whoever finds another process at it leaves at once.</summary>
    /// <param name="crossgen">path of crossgen2</param>
    /// <returns>exit code: 0, or 1 where the directory is no good</returns>
    public static int Run(string path, string crossgen, long limitBytes)
    {
        if (CacheDirectory.Open(path, out _, out _) is not { } directory) return 1;
        using IDisposable? held = directory.TryLock();
        if (held is null) return 0;
        foreach (string left in Directory.GetDirectories(path, CacheDirectory.Work + "*")) Directory.Delete(left, true);
        while (Directory.GetFiles(path, "*" + CacheDirectory.Pending) is { Length: > 0 } files)
        {
            string work = directory.PathOf($"{CacheDirectory.Work}{Environment.ProcessId}");
            Directory.CreateDirectory(work, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            try { Batch(directory, [.. files.Take(BatchFiles).Select(f => Path.GetFileNameWithoutExtension(f)!)], work, crossgen); }
            finally { Directory.Delete(work, true); }
        }
        directory.Prune(limitBytes);
        return 0;
    }

    static void Batch(CacheDirectory directory, string[] names, string work, string crossgen)
    {
        Dictionary<string, CacheEntry> entries = [];
        foreach (string name in names)
            if (Assemble(directory, name, $"{work}/{name}.dll") is { } entry) entries[name] = entry;
        if (entries.Count > 0) Compile([.. entries.Keys.Select(n => $"{work}/{n}.dll")], crossgen);
        foreach ((string name, CacheEntry entry) in entries)
        {
            string image = $"{work}/{name}{Compiled}";
            if (!File.Exists(image)) continue;
            byte[] bytes = File.ReadAllBytes(image);
            // The image first: an entry without one would be a kernel without code.
            directory.Write(name + CacheDirectory.Image, bytes);
            directory.Write(name + CacheDirectory.Entry, (entry with { ImageBytes = bytes.Length, ImageHash = XxHash128.HashToUInt128(bytes) }).Save());
        }
        // Also what could not be compiled: it would not be the next time either.
        foreach (string name in names) directory.Remove(name + CacheDirectory.Pending);
    }

    /// <summary>Writes the IL of what waits under that name as an assembly.</summary>
    static CacheEntry? Assemble(CacheDirectory directory, string name, string to)
    {
        try
        {
            if (directory.Read(name + CacheDirectory.Pending) is not { } file || !UInt128.TryParse(name, System.Globalization.NumberStyles.HexNumber, null, out UInt128 key)) return null;
            if (CacheEntry.Read(file, key, out BinaryReader reader) is not { } entry) return null;
            PersistedAssemblyBuilder assembly = new(new AssemblyName(name), typeof(object).Assembly,
                [new CustomAttributeBuilder(typeof(IgnoresAccessChecksToAttribute).GetConstructor([typeof(string)])!, [typeof(ImageCompiler).Assembly.GetName().Name!])]);
            TypeBuilder type = assembly.DefineDynamicModule(name).DefineType(TypeName, TypeAttributes.Public | TypeAttributes.Abstract | TypeAttributes.Sealed);
            for (int n = 0; n < entry.Methods; n++) IlRecording.Define(reader, type, MethodName(n));
            type.CreateType();
            assembly.Save(to);
            return entry;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or ArgumentException)
        {
            return null; // of another build
        }
    }

    static void Compile(string[] assemblies, string crossgen)
    {
        string core = typeof(object).Assembly.Location, own = typeof(ImageCompiler).Assembly.Location;
        using Process compiler = Process.Start(new ProcessStartInfo(crossgen, [.. assemblies, "--single-file-compilation", "--out-near-input", "--parallelism:1", "--targetos:linux", "--targetarch:x64", "--instruction-set:native", "-O",
            "--inputbubble", $"--inputbubbleref:{core}", $"--inputbubbleref:{own}", "-r", $"{Path.GetDirectoryName(core)}/*.dll", "-r", own, "-r", typeof(PtxModule).Assembly.Location]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        compiler.OutputDataReceived += (_, _) => { };
        compiler.ErrorDataReceived += (_, _) => { };
        compiler.BeginOutputReadLine();
        compiler.BeginErrorReadLine();
        compiler.WaitForExit();
    }
}
