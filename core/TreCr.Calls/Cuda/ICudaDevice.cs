namespace TreCr.Calls.Cuda;

/// <summary>Start and devices. CUDA Driver API, "Initialization", "Version Management", "Device Management".</summary>
/// <remarks>Programs' questions are answered in the wrapper from <see cref="DeviceFacts"/>; back ends implement the questions themselves.</remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaDevice
{
    /// <param name="flags">must be 0, else CUDA_ERROR_INVALID_VALUE</param>
    [Call(0x0001, CallClass.Answer, NoContext = true), Manual("starts the session: connects, maps the segment, reserves the device range")]
    CUresult cuInit(uint flags);

    [Call(0x0002, CallClass.Local), Manual("answered from DeviceFacts, before cuInit from the version TreCr reports")]
    CUresult cuDriverGetVersion([Out] int* driverVersion);

    [Call(0x0003, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceGetCount([Out] int* count);

    [Call(0x0004, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceGet([Out] CUdevice* device, int ordinal);

    /// <param name="name">[length] bytes, NUL-terminated</param>
    [Call(0x0005, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceGetName(byte* name, int length, CUdevice device);

    [Call(0x0006, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceTotalMem_v2([Out] nuint* bytes, CUdevice device);

    /// <param name="attribute">CUdevice_attribute; unknown: CUDA_ERROR_INVALID_VALUE</param>
    [Call(0x0007, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceGetAttribute([Out] int* value, int attribute, CUdevice device);

    [Call(0x0008, CallClass.Local), Manual("DeviceFacts")]
    CUresult cuDeviceGetUuid([Out] CUuuid* uuid, CUdevice device);

    /// <summary>All facts of one device at once: what the wrapper fetches at cuInit.</summary>
    [Call(0x0010, CallClass.Answer, Internal = true, NoContext = true)]
    CUresult trecrDeviceFacts([Out] DeviceFacts* facts, CUdevice device);
}
