using TreCr.Linux;

namespace TreCr.Api.C.Veloc;

/// <summary>Memory of a CUDA device, through the driver library that the program uses: TreCr's or NVIDIA's. This library is linked with none.</summary>
internal sealed unsafe class DeviceMemory : IRegionMemory
{
    private const int ContextAttribute = 1, MemoryTypeAttribute = 2, ManagedAttribute = 8, DeviceType = 2; // CUpointer_attribute, CUmemorytype

    private readonly nint _library;
    private readonly nint _context;

    private DeviceMemory(nint library, nint context) => (_library, _context) = (library, context);

    /// <summary>The memory that an address belongs to.</summary>
    public static IRegionMemory Of(nint address)
    {
        nint library = Sys.FindLibrary("libcuda.so.1");
        if (library == 0 || address == 0) return HostMemory.Instance;
        var attribute = (delegate* unmanaged<void*, int, nint, int>)Sys.FindSymbol("cuPointerGetAttribute", library);
        if (attribute is null) return HostMemory.Instance;
        uint type = 0, managed = 0;
        // An address that CUDA does not know is an error there, and the program's own memory here; managed memory is read like that too.
        if (attribute(&type, MemoryTypeAttribute, address) != 0 || type != DeviceType) return HostMemory.Instance;
        if (attribute(&managed, ManagedAttribute, address) == 0 && managed != 0) return HostMemory.Instance;
        nint context = 0;
        attribute(&context, ContextAttribute, address);
        return new DeviceMemory(library, context);
    }

    /// <inheritdoc/>
    public void Read(nint address, Span<byte> into)
    {
        fixed (byte* p = into) Copy("cuMemcpyDtoH_v2", (nint)p, address, into.Length);
    }

    /// <inheritdoc/>
    public void Write(nint address, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes) Copy("cuMemcpyHtoD_v2", address, (nint)p, bytes.Length);
    }

    /// <inheritdoc/>
    public IRegionSnapshot? TrySnapshot(long bytes)
    {
        nint[] at = [0];
        int error = bytes == 0 ? -1 : Within(() =>
        {
            fixed (nint* p = at) return ((delegate* unmanaged<nint*, nint, int>)Symbol("cuMemAlloc_v2"))(p, (nint)bytes);
        });
        return error == 0 ? new DeviceSnapshot(this, at[0], bytes) : null;
    }

    private void Copy(string call, nint to, nint from, nint bytes)
    {
        int error = Within(() => ((delegate* unmanaged<nint, nint, nint, int>)Symbol(call))(to, from, bytes));
        if (error != 0) throw new CheckpointException($"{call} of {bytes} bytes: CUDA error {error}");
    }

    /// <summary>Makes a call in the context of this memory; the thread has the one that it had when this returns.</summary>
    private int Within(Func<int> call)
    {
        nint current = 0;
        ((delegate* unmanaged<nint*, int>)Symbol("cuCtxGetCurrent"))(&current);
        if (current != _context) ((delegate* unmanaged<nint, int>)Symbol("cuCtxSetCurrent"))(_context);
        int error = call();
        if (current != _context) ((delegate* unmanaged<nint, int>)Symbol("cuCtxSetCurrent"))(current);
        return error;
    }

    private nint Symbol(string name) => Sys.FindSymbol(name, _library) is not 0 and var address ? address : throw new CheckpointException($"the CUDA driver library has no {name}");

    /// <summary>A copy on the device.</summary>
    private sealed class DeviceSnapshot(DeviceMemory memory, nint at, long bytes) : IRegionSnapshot
    {
        public IRegionMemory Memory => memory;

        public nint Address => at;

        public bool Fits(ProtectedRegion region) => region.Bytes == bytes && region.Memory is DeviceMemory of && of._context == memory._context;

        public void Take(ProtectedRegion region)
        {
            memory.Copy("cuMemcpyDtoD_v2", at, region.Address, (nint)bytes);
            // A copy on the device may go on when its call has returned.
            int error = memory.Within(() => ((delegate* unmanaged<nint, int>)memory.Symbol("cuStreamSynchronize"))(0));
            if (error != 0) throw new CheckpointException($"cuStreamSynchronize: CUDA error {error}");
        }

        public void Dispose() => memory.Within(() => ((delegate* unmanaged<nint, int>)memory.Symbol("cuMemFree_v2"))(at));
    }
}
