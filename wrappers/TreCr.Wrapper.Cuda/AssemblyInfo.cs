[assembly: System.Runtime.CompilerServices.InternalsVisibleTo("TreCr.Wrapper.Nccl")]
[assembly: System.Runtime.CompilerServices.InternalsVisibleTo("TreCr.Wrapper.Tests")]
[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]
