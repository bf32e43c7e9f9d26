using System.Runtime.InteropServices;
using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;

namespace TreCr.GpuCheck;

/// <summary>Driver and device.</summary>
internal static unsafe class FactsCheck
{
    public static void Run(Findings findings)
    {
        findings.Set("cuFuncGetParamInfo", CudaDriverBackend.FunctionAddress("cuFuncGetParamInfo") != 0);
        findings.Set("driver_library", File.ReadLines("/proc/self/maps").Where(l => l.Contains("/libcuda.so")).Select(l => l[l.IndexOf('/')..]).Distinct());
        Gpu gpu = Gpu.Open();
        findings.Set("missing_functions", CudaDriverBackend.MissingFunctions());
        DeviceFacts facts;
        Gpu.Check(gpu.Backend.trecrDeviceFacts(&facts, new CUdevice(0)), "device facts");
        findings.Set("driver_version", facts.DriverVersion);
        findings.Set("device_count", facts.DeviceCount);
        findings.Set("device_name", Marshal.PtrToStringUTF8((nint)facts.Name) ?? "");
        findings.Set("total_memory_bytes", (long)facts.TotalMemoryBytes);
        // CUdevice_attribute numbers.
        findings.Set("compute_capability", $"{facts.Attributes[75]}.{facts.Attributes[76]}");
        findings.Set("multiprocessors", facts.Attributes[16]);
        findings.Expect("virtual_memory_management", facts.Attributes[102] == 1);
        findings.Expect("posix_descriptor_handles", facts.Attributes[103] == 1);
        findings.Expect("unified_addressing", facts.Attributes[41] == 1);
        findings.Expect("host_register", facts.Attributes[99] == 1);
        findings.Set("host_pointer_usable_for_registered_memory", facts.Attributes[91] == 1);
        findings.Expect("functions_complete", CudaDriverBackend.MissingFunctions().Count == 0);
        try { findings.Set("kernel_module", File.ReadLines("/proc/driver/nvidia/version").First()); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException) { findings.Set("kernel_module", $"not readable: {e.Message}"); }
    }
}
