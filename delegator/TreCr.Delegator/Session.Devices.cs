using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Gmmu;
using TreCr.Images;

namespace TreCr.Delegator;

// Whether the devices here can take a saved session. Asked before anything is made.
internal sealed unsafe partial class Session
{
    private const int MajorAttribute = 75, MinorAttribute = 76; // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR

    private (uint Major, uint Minor) ComputeCapability(int ordinal)
    {
        int major = 0, minor = 0;
        _backend.cuDeviceGetAttribute(&major, MajorAttribute, new CUdevice(ordinal));
        _backend.cuDeviceGetAttribute(&minor, MinorAttribute, new CUdevice(ordinal));
        return ((uint)major, (uint)minor);
    }

    /// <summary>
    /// As many devices, none of a lower compute capability, and memory for what is allocated. The program has chosen its kernels by the capability that it saw: PTX runs on every higher
    /// one, machine code only on GPUs of the same major number.
    /// </summary>
    /// <exception cref="WrongDeviceException">no</exception>
    private void CheckDevices(SessionRecord saved, GmmuRecord memory)
    {
        CUresult result = _backend.cuInit(0);
        int count = 0;
        if (result == CUresult.CUDA_SUCCESS) result = _backend.cuDeviceGetCount(&count);
        if (result != CUresult.CUDA_SUCCESS) throw new WrongDeviceException($"no device answers here ({result}); the program used {saved.Devices.Count} ({saved.DeviceKind})");
        if (saved.Devices.Count > count && _backend.Provide(saved.Devices.Count)) count = saved.Devices.Count;
        if (saved.Devices.Count > count) throw new WrongDeviceException($"the program used {saved.Devices.Count} devices, here are {count}");
        byte* buffer = stackalloc byte[256];
        for (int i = 0; i < saved.Devices.Count; i++)
        {
            SavedDevice before = saved.Devices[i];
            string name = _backend.cuDeviceGetName(buffer, 256, new CUdevice(i)) == CUresult.CUDA_SUCCESS ? Marshal.PtrToStringUTF8((nint)buffer) ?? "" : "";
            (uint major, uint minor) = ComputeCapability(i);
            // A program that moves to another kind of device needs the capability that it was told of.
            (uint neededMajor, uint neededMinor) = _moved && saved.Portable ? (PortableDevice.ComputeMajor, PortableDevice.ComputeMinor) : (before.ComputeMajor, before.ComputeMinor);
            bool lower = major < neededMajor || (major == neededMajor && minor < neededMinor);
            if (before.ComputeMajor != 0 && (lower || (DeviceKind == "cuda" && major != before.ComputeMajor)))
                throw new WrongDeviceException($"device {i} was {before.Name} of compute capability {neededMajor}.{neededMinor}, here is {name} of {major}.{minor}");
            nuint total = 0;
            _backend.cuDeviceTotalMem_v2(&total, new CUdevice(i));
            ulong used = 0;
            foreach (SavedAllocation a in memory.Allocations)
                if (a.DeviceOrdinal == i && (AllocationKind)a.Kind is AllocationKind.Device or AllocationKind.Internal) used += a.Bytes;
            if (used > total) throw new WrongDeviceException($"the program has {used} bytes of memory on device {i} ({before.Name}), here {name} has {total}");
        }
    }
}
