using System.Globalization;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Backend;

/// <summary>What the software device says of itself. Environment: TRECR_SOFT_CC (compute capability, default 10.0), TRECR_SOFT_MEMORY (bytes, or with suffix K, M, G, T), TRECR_SOFT_DEVICES (1 to 8, default 1).</summary>
public static class SoftDeviceFacts
{
    public const string Name = "TreCr Software Device";
    public const int SharedPerBlock = 48 << 10, SharedOptIn = 99 << 10, SharedPerMultiprocessor = 100 << 10, MaxThreads = 1024;
    /// <summary>What is reported: serves CUDA 11.8 runtimes with the fewest tables (facts/cuda-trace.md section 7).</summary>
    public const int DriverVersion = 12000;

    /// <summary>Fixed: the same device on every machine.</summary>
    public static ReadOnlySpan<byte> Uuid => "TreCrSoftDevice0"u8;

    public static int ComputeMajor { get; private set; } = PortableDevice.ComputeMajor;
    public static int ComputeMinor { get; private set; } = PortableDevice.ComputeMinor;
    public static ulong MemoryBytes { get; private set; }

    /// <summary>Devices that a new session finds. They are one set of processor cores, each with a memory of its own.</summary>
    public static int DeviceCount { get; } = 1;
    public const int MaxDevices = 8;
    public static int Multiprocessors { get; } = Math.Max(1, Environment.ProcessorCount);

    static SoftDeviceFacts()
    {
        string? cc = Environment.GetEnvironmentVariable("TRECR_SOFT_CC");
        if (cc is not null)
        {
            string[] parts = cc.Split('.');
            if (parts.Length <= 2 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out int major) && major is > 0 and < 1000)
            {
                ComputeMajor = major;
                ComputeMinor = parts.Length == 2 && int.TryParse(parts[1], CultureInfo.InvariantCulture, out int minor) && minor is >= 0 and < 10 ? minor : 0;
            }
            else Console.Error.WriteLine($"trecr: TRECR_SOFT_CC={cc} is no compute capability; 10.0 is used");
        }
        if (Environment.GetEnvironmentVariable("TRECR_SOFT_DEVICES") is { Length: > 0 } devices)
        {
            if (int.TryParse(devices, CultureInfo.InvariantCulture, out int count) && count is > 0 and <= MaxDevices) DeviceCount = count;
            else Console.Error.WriteLine($"trecr: TRECR_SOFT_DEVICES={devices} is not 1 to {MaxDevices}; 1 is used");
        }
        ulong half = (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;
        MemoryBytes = Math.Min(16UL << 30, half) & ~((2UL << 20) - 1);
        if (Environment.GetEnvironmentVariable("TRECR_SOFT_MEMORY") is { Length: > 0 } text)
        {
            int shift = char.ToUpperInvariant(text[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, 'T' => 40, _ => 0 };
            if (ulong.TryParse(shift == 0 ? text : text[..^1], CultureInfo.InvariantCulture, out ulong n) && n > 0 && n << shift >> shift == n && n << shift <= 1UL << 40) MemoryBytes = (n << shift) + (2 << 20) - 1 & ~((2UL << 20) - 1);
            else Console.Error.WriteLine($"trecr: TRECR_SOFT_MEMORY={text} is no size; {MemoryBytes >> 20} MiB is used");
        }
    }

    /// <summary>Compute capability times ten, as in sm_100.</summary>
    public static int Sm => ComputeMajor * 10 + ComputeMinor;

    /// <summary>The same for a device by its ordinal: they differ in their place on the PCI bus.</summary>
    public static int? Attribute(int attribute, int device) => attribute == PciBus ? Attribute(attribute) + device : Attribute(attribute);

    const int PciBus = 33;

    /// <summary>Value of a CUdevice_attribute; null for numbers the driver does not know.</summary>
    public static int? Attribute(int attribute) => attribute switch
    {
        1 => 1024, // threads of a block
        2 => 1024, 3 => 1024, 4 => 64, // x, y, z
        5 => int.MaxValue, 6 => 65535, 7 => 65535,
        8 => SharedPerBlock, 9 => 65536, 10 => 32, 11 => int.MaxValue, 12 => 65536,
        13 => 1_000_000, // clock, kHz
        14 => 512, 15 => 1, 16 => Multiprocessors, 17 => 0, 18 => 0, 19 => 1, 20 => 0,
        21 => 131072, 22 => 131072, 23 => 65536, 24 => 16384, 25 => 16384, 26 => 16384, 27 => 32768, 28 => 32768, 29 => 2048,
        30 => 512, 31 => 1, 32 => 0, 33 => 1, 34 => 0, 35 => 0, 36 => 1_000_000, 37 => 64, 38 => 4 << 20, 39 => 2048, 40 => 1, 41 => 1,
        42 => 32768, 43 => 2048, 45 => 16384, 46 => 16384, 47 => 16384, 48 => 16384, 49 => 16384, 50 => 0, 51 => 32,
        52 => 32768, 53 => 2046, 54 => 32768, 55 => 131072, 56 => 65536, 57 => 16384, 58 => 16384, 59 => 16384, 60 => 32768, 61 => 2048, 62 => 32768, 63 => 32768, 64 => 2048,
        65 => 32768, 66 => 2046, 67 => 32768, 68 => 2046, 69 => 131072, 70 => 131072, 71 => 65000, 72 => 2097120, 73 => 32768, 74 => 32768,
        75 => ComputeMajor, 76 => ComputeMinor, 77 => 32768, 78 => 1, 79 => 1, 80 => 1, 81 => SharedPerMultiprocessor, 82 => 65536, 83 => 1, 84 => 0, 85 => 0, 86 => 0,
        87 => 2, 88 => 0, 89 => 1, 90 => 0, 91 => 0, 92 => 0, 93 => 0, 94 => 0, 95 => 1, 96 => 0, 97 => SharedOptIn, 98 => 0, 99 => 1, 100 => 0, 101 => 0, 102 => 1, 103 => 1, // memory for other processes as file descriptors
         104 => 0, 105 => 0,
        106 => 16, 107 => 1, // memory may be asked for as compressible: a hint
        108 => 3 << 20, 109 => 128 << 20, // persisting L2 at most, access policy window at most: hints that change no result
        110 => 0, 111 => 1024, 112 => 0, 113 => 0, 114 => 0, 115 => 1, 116 => 0, 117 => 0, 118 => 0, 119 => 1, 120 => 0, 121 => 0, 122 => 1, 123 => 1, // stream memory operations; 92 to 94, their first form, are off in the driver too unless it is told otherwise
        125 => 1, // events for other processes
        _ => null,
    };
}
