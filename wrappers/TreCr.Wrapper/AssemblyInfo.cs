// The library has no code of its own: it is TreCr.Wrapper.Cuda (later also .Nccl and .Mpi) compiled to one file.
[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]
