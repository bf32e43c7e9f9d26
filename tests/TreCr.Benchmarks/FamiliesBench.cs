using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Gmmu;
using TreCr.Ring;
using TreCr.SoftDevice.Backend;

namespace TreCr.Benchmarks;

/// <summary>Calls of each family below trecr, and bandwidth of copies as a ratio to the software device called directly, in this process, alternately (issue 6).</summary>
internal static unsafe class FamiliesBench
{
    private static readonly long[] s_sizes = [64 << 10, 1 << 20, 16 << 20, 128 << 20];

    private sealed class Late : IDeviceAllocator
    {
        public IDeviceAllocator? Target { get; set; }
        public ulong Allocate(int deviceOrdinal, ulong bytes) => Target!.Allocate(deviceOrdinal, bytes);
        public ulong AllocateManaged(int deviceOrdinal, ulong bytes) => Target!.AllocateManaged(deviceOrdinal, bytes);
        public void Free(ulong address) => Target!.Free(address);
    }

    public static void Run(Bench bench)
    {
        string program = bench.Compile("families");
        Dictionary<string, List<double>> below = [], direct = [];
        for (int i = 0; i < Bench.Runs; i++)
        {
            Direct((name, value) => Add(direct, name, value));
            foreach (string line in bench.Run(300, bench.Trecr, "run", "--device", "soft", "--", program).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                string[] words = line.Split(' ');
                Add(below, $"{words[0]} {words[1]}", double.Parse(words[2], CultureInfo.InvariantCulture));
            }
        }
        foreach ((string name, List<double> values) in below)
        {
            string[] words = name.Split(' ');
            (string what, string unit) = words[0] switch { "enqueue" => ("enqueued, ", "ns"), "wait" => ("waiting, ", "us"), "local" => ("answered locally, ", "ns"), "rate" => ("launches a second, ", "1/s"), _ => ("", "GB/s") };
            if (words[0] != "copy") bench.Row($"calls: {what}{words[1].Replace('_', ' ')}", unit, values);
        }
        foreach ((string name, List<double> values) in below.Where(r => r.Key.StartsWith("copy ", StringComparison.Ordinal)))
        {
            string[] words = name["copy ".Length..].Split('_');
            string what = $"calls: {words[0]} {words[1]}, {long.Parse(words[2], CultureInfo.InvariantCulture) >> 10} KiB";
            bench.Row(what, "GB/s", values);
            bench.Row($"{what}, directly / by the wrapper", "x", values.Zip(direct[name], (w, d) => d / w));
        }
    }

    private static void Add(Dictionary<string, List<double>> to, string name, double value)
    {
        if (!to.TryGetValue(name, out List<double>? list)) to.Add(name, list = []);
        list.Add(value);
    }

    /// <summary>The same copies on the back end: issue and wait.</summary>
    private static void Direct(Action<string, double> report)
    {
        Late allocator = new();
        using SoftBackend backend = new(allocator);
        using DeviceMemory memory = new(backend);
        allocator.Target = memory;
        CUcontext context;
        nuint total;
        Need(backend.cuInit(0));
        Need(backend.cuDeviceTotalMem_v2(&total, new CUdevice(0)));
        Need(memory.Reserve(SegmentLayout.DeviceBase, SegmentLayout.DeviceSlotBytes, [total], SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, out _));
        Need(backend.cuDevicePrimaryCtxRetain(&context, new CUdevice(0)));
        Need(backend.cuCtxSetCurrent(context));
        Need(memory.Allocate(0, (ulong)s_sizes[^1], context.Value, out ulong device));
        byte* host = (byte*)NativeMemory.AlignedAlloc((nuint)s_sizes[^1], 4096);
        NativeMemory.Fill(host, (nuint)s_sizes[^1], 1);
        foreach (long bytes in s_sizes)
            foreach (bool toDevice in new[] { false, true })
            {
                double speed = Best(bytes, () =>
                {
                    Need(toDevice ? backend.cuMemcpyHtoDAsync_v2(new CUdeviceptr(device), host, (nuint)bytes, CUstream.Legacy) : backend.cuMemcpyDtoHAsync_v2(host, new CUdeviceptr(device), (nuint)bytes, CUstream.Legacy));
                    Need(backend.cuStreamSynchronize(CUstream.Legacy));
                });
                foreach (string kind in new[] { "pageable", "pinned" }) report($"copy {(toDevice ? "H2D" : "D2H")}_{kind}_{bytes}", speed);
            }
        NativeMemory.AlignedFree(host);
    }

    private static double Best(long bytes, Action copy)
    {
        const double Seconds = 0.15;
        const int Least = 5;
        double best = double.MaxValue;
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < Least || Stopwatch.GetElapsedTime(begin).TotalSeconds < Seconds; i++)
        {
            long start = Stopwatch.GetTimestamp();
            copy();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return bytes / best / 1e9;
    }

    private static void Need(CUresult result)
    {
        if (result != CUresult.CUDA_SUCCESS) throw new InvalidOperationException($"{result}");
    }
}
