using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Images;

/// <summary>A texture or surface object, as the program described it.</summary>
/// <param name="Value">what kernels get: the device address of its DeviceImage</param>
/// <param name="Logged">the handle by which the delegator knows it</param>
/// <param name="View">null: none was given</param>
internal sealed record ImageObject(ulong Value, ulong Logged, ulong Context, bool IsSurface, CUDA_RESOURCE_DESC Resource, CUDA_TEXTURE_DESC Texture, CUDA_RESOURCE_VIEW_DESC? View);
