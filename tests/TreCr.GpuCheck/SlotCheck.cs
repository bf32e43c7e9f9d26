using System.Diagnostics;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Gmmu;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.GpuCheck;

/// <summary>
/// One fresh process, as a delegator begins: pinned arena, cuInit, the 1 TiB slot through the delegator's own GMMU, context, modules, memory. Prints the addresses; the
/// parent compares those of many processes.
/// </summary>
internal static unsafe class SlotCheck
{
    /// <param name="late">the modules are loaded before the slot is reserved: the harder order</param>
    /// <param name="ptxDirectory">PTX files, and machine code for this device (NAME.sm_90.cubin), that are loaded beside the program's own; empty: none</param>
    public static void Run(Findings findings, bool late, string ptxDirectory)
    {
        long start = Stopwatch.GetTimestamp();
        findings.Set("late", late);
        findings.Set("randomised", (Sys.Raw(SyscallNumber.Personality, 0xffffffff) & 0x0040000) == 0);
        int pinned = Sys.MemfdCreate(SegmentLayout.PinnedName);
        Sys.Ftruncate(pinned, (long)SegmentLayout.PinnedBytes);
        Sys.Check(Sys.Mmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, pinned),
            "mmap", $"pinned arena at 0x{SegmentLayout.PinnedBase:x}");
        Gpu gpu = Gpu.Open();
        findings.Set("ms_init", (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        DeviceMemory memory = new(gpu.Backend);
        if (!late) Reserve(gpu, memory, findings);
        gpu.UseContext();
        CUmodule module = gpu.LoadProbe();
        int modules = 1;
        if (ptxDirectory.Length > 0)
            foreach (string file in Directory.GetFiles(ptxDirectory, "*.ptx").Concat(Directory.GetFiles(ptxDirectory, $"*.sm_{gpu.Architecture}.cubin")).Order(StringComparer.Ordinal))
            {
                gpu.Load(File.ReadAllBytes(file), Path.GetFileName(file));
                modules++;
            }
        findings.Set("modules", modules);
        findings.Set("ms_modules", (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        if (late) Reserve(gpu, memory, findings);
        foreach (string name in new[] { "probe_counter", "probe_table", "probe_constant" }) findings.SetAddress($"global.{name}", gpu.Global(module, name).Address);

        ulong small = Allocate(memory, findings, "small", 512), middle = Allocate(memory, findings, "middle", 3 << 20);
        Allocate(memory, findings, "large", 64 << 20);
        gpu.Fill(middle, 0x5a, 3 << 20);
        findings.Expect("memory_holds", gpu.Read(middle + (2 << 20), 4096).All(b => b == 0x5a));
        byte[] block = new byte[8];
        MemoryMarshal.Write(block, small);
        FunctionFacts facts = gpu.Run(module, "probe_addresses", block);
        findings.Set("parameters", facts.ParameterCount);
        byte[] answer = gpu.Read(small, 16);
        findings.SetAddress("function.probe_function", MemoryMarshal.Read<ulong>(answer));
        findings.Expect("kernel_sees_same_global", MemoryMarshal.Read<ulong>(answer.AsSpan(8)) == gpu.Global(module, "probe_counter").Address);
        findings.Set("ms_all", (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    private static void Reserve(Gpu gpu, DeviceMemory memory, Findings findings)
    {
        CUresult result = memory.Reserve(SegmentLayout.DeviceBase, SegmentLayout.DeviceSlotBytes, [gpu.TotalBytes], SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, out string? error);
        if (result == CUresult.CUDA_SUCCESS)
        {
            findings.SetAddress("slot", SegmentLayout.DeviceBase);
            return;
        }
        string[] around = [.. File.ReadLines("/proc/self/maps").Where(Near)];
        throw new ProbeException($"slot: {error ?? result.ToString()}; mappings there: {(around.Length == 0 ? "none" : string.Join(" | ", around))}");
    }

    /// <summary>A line of /proc/self/maps that touches the slot.</summary>
    private static bool Near(string line)
    {
        string[] ends = line.Split(' ')[0].Split('-');
        return ends.Length == 2 && ulong.TryParse(ends[0], System.Globalization.NumberStyles.HexNumber, null, out ulong from)
            && ulong.TryParse(ends[1], System.Globalization.NumberStyles.HexNumber, null, out ulong to)
            && from < SegmentLayout.DeviceBase + SegmentLayout.DeviceSlotBytes && to > SegmentLayout.DeviceBase;
    }

    private static ulong Allocate(DeviceMemory memory, Findings findings, string name, ulong bytes)
    {
        Gpu.Check(memory.Allocate(0, bytes, 0, out ulong address), $"allocation of {bytes} bytes");
        findings.SetAddress($"memory.{name}", address);
        return address;
    }
}
