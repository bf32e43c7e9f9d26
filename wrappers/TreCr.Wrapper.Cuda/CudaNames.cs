using TreCr.Calls;

namespace TreCr.Wrapper.Cuda;

/// <summary>All names of the driver, from cuda-names.tsv.</summary>
[ResolverOf("cuda-names.tsv")]
public static unsafe partial class CudaNames;
