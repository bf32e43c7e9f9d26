using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.GpuCheck;

/// <summary>A part of the pinned arena's memfd is registered: does the device use the host's address, and do both mappings see what the other side writes?</summary>
internal static unsafe class PinnedCheck
{
    private const ulong RangeBytes = 4 << 20;

    public static void Run(Findings findings)
    {
        int memfd = Sys.MemfdCreate(SegmentLayout.PinnedName);
        Sys.Ftruncate(memfd, (long)SegmentLayout.PinnedBytes);
        Sys.Check(Sys.Mmap(SegmentLayout.PinnedBase, SegmentLayout.PinnedBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED | Sys.MAP_NORESERVE | Sys.MAP_FIXED_NOREPLACE, memfd),
            "mmap", $"pinned arena at 0x{SegmentLayout.PinnedBase:x}");
        ulong at = SegmentLayout.PinnedBase + (2 << 20);
        // As the program has it: the same pages at another address of this process.
        uint* other = (uint*)Sys.Check(Sys.Mmap(0, RangeBytes, Sys.PROT_READ | Sys.PROT_WRITE, Sys.MAP_SHARED, memfd, 2 << 20), "mmap", "second mapping");
        Gpu gpu = Gpu.Open();
        gpu.UseContext();
        CUmodule module = gpu.LoadProbe();
        findings.SetAddress("host", at);

        var register = (delegate* unmanaged<ulong, nuint, uint, CUresult>)CudaDriverBackend.FunctionAddress("cuMemHostRegister_v2");
        var devicePointer = (delegate* unmanaged<ulong*, ulong, uint, CUresult>)CudaDriverBackend.FunctionAddress("cuMemHostGetDevicePointer_v2");
        var unregister = (delegate* unmanaged<ulong, CUresult>)CudaDriverBackend.FunctionAddress("cuMemHostUnregister");
        if (register == null || devicePointer == null || unregister == null) throw new ProbeException("the driver lacks cuMemHostRegister_v2 or a companion");
        Gpu.Check(register(at, (nuint)RangeBytes, 3), "cuMemHostRegister of the memfd");
        ulong alias = 0;
        CUresult result = devicePointer(&alias, at, 0);
        findings.SetAddress("device_alias", alias);
        findings.Expect("alias_equals_host_address", result == CUresult.CUDA_SUCCESS && alias == at);
        Gpu.Check(unregister(at), "cuMemHostUnregister");

        Gpu.Check(gpu.Backend.trecrHostMap(at, (nuint)RangeBytes), "trecrHostMap (the delegator's way)");
        other[16] = 41;
        gpu.Run(module, "probe_add", Gpu.AddParameters(at + 64, 1));
        findings.Expect("kernel_writes_reach_both_mappings", other[16] == 42 && ((uint*)at)[16] == 42);
        ((uint*)at)[16] = 100;
        gpu.Run(module, "probe_add", Gpu.AddParameters(at + 64, 5));
        findings.Expect("later_host_writes_reach_the_kernel", other[16] == 105);
        Gpu.Check(gpu.Backend.trecrHostUnmap(at), "trecrHostUnmap");
    }
}
