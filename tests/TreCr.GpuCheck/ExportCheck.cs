using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Ring;

namespace TreCr.GpuCheck;

/// <summary>Blocks as the GMMU makes them: each must export as a POSIX descriptor; one is imported again and must hold the same bytes.</summary>
internal static unsafe class ExportCheck
{
    private const int PosixDescriptor = 1;

    private static readonly List<CUmemGenericAllocationHandle> s_handles = [];

    public static void Run(Findings findings)
    {
        Gpu gpu = Gpu.Open();
        var export = (delegate* unmanaged<void*, CUmemGenericAllocationHandle, int, ulong, CUresult>)CudaDriverBackend.FunctionAddress("cuMemExportToShareableHandle");
        var import = (delegate* unmanaged<CUmemGenericAllocationHandle*, void*, int, CUresult>)CudaDriverBackend.FunctionAddress("cuMemImportFromShareableHandle");
        if (export == null || import == null) throw new ProbeException("the driver lacks cuMemExportToShareableHandle or cuMemImportFromShareableHandle");
        CUdeviceptr slot;
        Gpu.Check(gpu.Backend.cuMemAddressReserve(&slot, unchecked((nuint)SegmentLayout.DeviceSlotBytes), 2 << 20, new CUdeviceptr(SegmentLayout.DeviceBase), 0), "cuMemAddressReserve");
        gpu.UseContext();
        CUmemAllocationProp properties = new() { Type = 1, RequestedHandleTypes = PosixDescriptor, LocationType = 1, LocationId = 0 };
        nuint granularity = 0;
        Gpu.Check(gpu.Backend.cuMemGetAllocationGranularity(&granularity, &properties, 0), "cuMemGetAllocationGranularity");
        findings.Set("granularity_bytes", (long)granularity);
        findings.Expect("granularity_is_2_MiB", granularity == 2 << 20);

        ulong[] sizes = [.. Enumerable.Repeat(2UL << 20, 16), 6UL << 20, 64UL << 20, 256UL << 20, 1UL << 30];
        ulong at = slot.Value;
        int exported = 0, first = -1;
        List<string> failures = [];
        foreach (ulong bytes in sizes)
        {
            Map(gpu, at, bytes, Create(gpu, bytes, properties));
            gpu.Fill(at, 0x11, 2 << 20);
            at += bytes;
        }
        at = slot.Value;
        for (int i = 0; i < sizes.Length; i++)
        {
            int descriptor = -1;
            CUresult result = export(&descriptor, s_handles[i], PosixDescriptor, 0);
            if (result == CUresult.CUDA_SUCCESS && descriptor >= 0) exported++;
            else failures.Add($"{sizes[i]} bytes: {result}");
            if (i == 0) first = descriptor;
            else if (descriptor >= 0) Sys.Close(descriptor);
        }
        findings.Set("blocks", sizes.Length);
        findings.Set("exported", exported);
        findings.Set("failures", failures);
        findings.Expect("every_block_exports", exported == sizes.Length);
        if (first < 0) return;

        CUmemGenericAllocationHandle again;
        Gpu.Check(import(&again, (void*)(nint)first, PosixDescriptor), "cuMemImportFromShareableHandle");
        ulong copy = slot.Value + (1UL << 39);
        Map(gpu, copy, sizes[0], again);
        gpu.Fill(slot.Value, 0xa7, 4096);
        findings.Expect("imported_block_is_the_same_memory", gpu.Read(copy, 4096).All(b => b == 0xa7));
        Sys.Close(first);
    }

    private static CUmemGenericAllocationHandle Create(Gpu gpu, ulong bytes, CUmemAllocationProp properties)
    {
        CUmemGenericAllocationHandle handle;
        Gpu.Check(gpu.Backend.cuMemCreate(&handle, (nuint)bytes, &properties, 0), $"cuMemCreate of {bytes} bytes");
        s_handles.Add(handle);
        return handle;
    }

    private static void Map(Gpu gpu, ulong address, ulong bytes, CUmemGenericAllocationHandle handle)
    {
        Gpu.Check(gpu.Backend.cuMemMap(new CUdeviceptr(address), (nuint)bytes, 0, handle, 0), "cuMemMap");
        CUmemAccessDesc access = new() { LocationType = 1, LocationId = 0, Flags = 3 };
        Gpu.Check(gpu.Backend.cuMemSetAccess(new CUdeviceptr(address), (nuint)bytes, &access, 1), "cuMemSetAccess");
    }
}
