namespace TreCr.Calls.Cuda;

/// <summary>Arrays, textures and surfaces. CUDA Driver API, "Memory Management" (arrays), "Texture Object Management", "Surface Object Management".</summary>
/// <remarks>
/// The calls themselves are the wrapper's: an array is device memory of a layout that the wrapper chooses, an object is a <see cref="DeviceImage"/> in device memory. These records say that such a thing
/// exists, so that a device that does not read <see cref="DeviceImage"/>s refuses it by name when it is made, and refuses a restart of a program that has some.
/// </remarks>
[CallTable(Library.Cuda)]
public unsafe interface ICudaImage
{
    /// <param name="address">memory of the array, or of the object's DeviceImage</param>
    /// <returns>CUDA_ERROR_NOT_SUPPORTED: NVIDIA's driver, whose arrays have a layout of their own</returns>
    [Call(0x0901, CallClass.Answer, Internal = true), Creates(nameof(image))]
    CUresult trecrImageCreate([Out] CUarray* image, CUdeviceptr address);

    [Call(0x0902, CallClass.Answer, Internal = true), Destroys(nameof(image))]
    CUresult trecrImageDestroy(CUarray image);
}
