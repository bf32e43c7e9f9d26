using NUnit.Framework;
using TreCr.Backend.Cuda;
using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Tests;

/// <summary>The binding to the real driver, as far as a machine without a GPU lets it.</summary>
public class BackendTests
{
    [Test]
    public void The_driver_answers_or_is_missed_by_name()
    {
        CudaDriverBackend backend = new();
        CUresult result = backend.cuInit(0);
        if (!CudaDriverBackend.IsDriverPresent) Assert.That(result, Is.EqualTo(CUresult.CUDA_ERROR_NOT_SUPPORTED), "no library: every function is missing");
        else Assert.That(result, Is.AnyOf(CUresult.CUDA_SUCCESS, CUresult.CUDA_ERROR_NO_DEVICE, CUresult.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH));
    }

    [Test]
    public unsafe void Each_function_of_the_binding_is_found_in_the_driver()
    {
        if (!CudaDriverBackend.IsDriverPresent) Assert.Ignore("no libcuda.so.1 of NVIDIA's (Debian: libcuda1) on this machine");
        int version = 0;
        Assert.That(new CudaDriverBackend().cuDriverGetVersion(&version), Is.EqualTo(CUresult.CUDA_SUCCESS));
        Assert.That(version, Is.GreaterThanOrEqualTo(11080));
        Assert.That(CudaDriverBackend.MissingFunctions(), Is.Empty);
    }
}
