namespace TreCr.Calls.Cuda;

/// <summary>
/// The device that a program run with <c>--portable</c> is told of, whatever is here: NVIDIA's libraries choose PTX for it (facts/cuda-trace.md, "Compute capability": all kernels launched
/// from 10.0 on are in the CUDA 11.8 libraries as PTX), and it promises nothing that the software device does not have.
/// </summary>
public static unsafe class PortableDevice
{
    /// <summary>Compute capability.</summary>
    public const int ComputeMajor = 10, ComputeMinor = 0;

    /// <summary>Compute capability times ten, as in sm_100.</summary>
    public const int Sm = ComputeMajor * 10 + ComputeMinor;

    private const int Major = 75, Minor = 76; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR

    /// <summary>Attribute (CUdevice_attribute) and the most that is told of it. What is not here says what the device is (clock, cores, place on the bus), or is the same on all devices.</summary>
    private static readonly (int Attribute, int Most)[] s_limits =
    [
        (8, 48 << 10), (12, 65536), (39, 2048), (81, 100 << 10), (82, 65536), (97, 99 << 10), (106, 16), // shared memory, registers, threads and blocks of a block or multiprocessor
        (92, 0), (93, 0), (94, 0), // stream memory operations in their first form
        (96, 0), // cooperative launches over several devices
        (103, 0), (104, 0), (105, 0), (119, 0), // handles of memory for other processes
        (108, 3 << 20), (109, 128 << 20), // persisting L2 cache, access policy window
        (110, 0), (112, 0), (113, 0), (114, 0), (116, 0), (117, 0), (118, 0), // GPUDirect, sparse arrays, host registration read-only
        (120, 0), (121, 0), // clusters, deferred mapping
    ];

    /// <summary>What is told of an attribute whose value on the device here is <paramref name="value"/>.</summary>
    public static int Tell(int attribute, int value)
    {
        if (attribute == Major) return ComputeMajor;
        if (attribute == Minor) return ComputeMinor;
        foreach ((int limited, int most) in s_limits)
            if (limited == attribute) return Math.Min(value, most);
        return value;
    }

    /// <summary>The same for all facts of a device.</summary>
    public static void Tell(DeviceFacts* facts)
    {
        for (int i = 0; i < DeviceFacts.AttributeCount; i++)
            if ((facts->AttributeErrors[i >> 6] >> (i & 63) & 1) == 0) facts->Attributes[i] = Tell(i, facts->Attributes[i]);
    }
}
