namespace TreCr.Calls.Cuda;

/// <summary>Modules and functions. CUDA Driver API, "Module Management", "Execution Control", "Occupancy".</summary>
[CallTable(Library.Cuda)]
public unsafe interface ICudaModule
{
    /// <summary>
    /// Loads an image: PTX text, fatbin or cubin. The API passes no length; the stub derives it (cuda.md §5.1). All module loading calls
    /// (cuModuleLoad, LoadData, LoadDataEx, LoadFatBinary, CUDART_INTERFACE slots 1, 6, 8) become this one record.
    /// </summary>
    /// <param name="image">[imageBytes]; PTX text with its NUL, for a fatbin the header with all its entries, ELF to its end; never a __fatBinC_Wrapper_t</param>
    /// <exception cref="Exception">never: 200 no image, 209 nothing for this device, 218 invalid PTX, 222 newer PTX</exception>
    [Call(0x0201, CallClass.Answer, Internal = true), Creates(nameof(module))]
    CUresult trecrModuleLoad([Out] CUmodule* module, [InBytes(nameof(imageBytes))] void* image, nuint imageBytes);

    [Call(0x0202, CallClass.Answer), Destroys(nameof(module)), Manual("forgets the module's functions")]
    CUresult cuModuleUnload(CUmodule module);

    /// <summary>A function by name, with what a launch needs to know. Behind cuModuleGetFunction.</summary>
    /// <returns>CUDA_ERROR_NOT_FOUND where the module has no such kernel</returns>
    [Call(0x0203, CallClass.Answer, Internal = true), Creates(nameof(function))]
    CUresult trecrModuleGetFunction([Out] CUfunction* function, [Out] FunctionFacts* facts, CUmodule module, [InString] byte* name);

    /// <summary>A global or constant by name. Either output may be NULL in the program.</summary>
    [Call(0x0204, CallClass.Answer), Manual("remembers where globals lie: cuMemcpy infers kinds from addresses")]
    CUresult cuModuleGetGlobal_v2([Out(Optional = true)] CUdeviceptr* address, [Out(Optional = true)] nuint* bytes, CUmodule module, [InString] byte* name);

    /// <param name="attribute">CUfunction_attribute</param>
    [Call(0x0205, CallClass.Answer)]
    CUresult cuFuncGetAttribute([Out] int* value, int attribute, CUfunction function);

    [Call(0x0206, CallClass.Answer, Logged = true), Manual("updates the wrapper's copy of FunctionFacts")]
    CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value);

    [Call(0x0207, CallClass.Answer, Logged = true)]
    CUresult cuFuncSetCacheConfig(CUfunction function, int config);

    [Call(0x0208, CallClass.Answer, Logged = true)]
    CUresult cuFuncSetSharedMemConfig(CUfunction function, int config);

    /// <param name="blocks">blocks per multiprocessor</param>
    [Call(0x0209, CallClass.Answer)]
    CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags([Out] int* blocks, CUfunction function, int blockSize, nuint dynamicSharedBytes, uint flags);

    [Call(0x020a, CallClass.Answer)]
    CUresult cuOccupancyAvailableDynamicSMemPerBlock([Out] nuint* bytes, CUfunction function, int blocks, int blockSize);

    /// <summary>A texture or surface reference by name: eight bytes of device memory that hold the address of the <see cref="DeviceImage"/> that it is bound to. Behind cuModuleGetTexRef and cuModuleGetSurfRef.</summary>
    /// <param name="isSurface">0 a texture reference, 1 a surface reference</param>
    /// <returns>CUDA_ERROR_NOT_SUPPORTED: NVIDIA's driver, whose textures are not <see cref="DeviceImage"/>s</returns>
    [Call(0x020b, CallClass.Answer, Internal = true)]
    CUresult trecrModuleGetReference([Out] CUdeviceptr* address, CUmodule module, [InString] byte* name, uint isSurface);
}
