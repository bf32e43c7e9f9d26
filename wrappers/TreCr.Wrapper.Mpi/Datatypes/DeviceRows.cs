using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>Runs of bytes in a device's memory that are packed or unpacked: those of one length at equal distances (a column, a face) go over as one copy.</summary>
internal unsafe struct DeviceRows(bool toHost)
{
    private byte* _device, _host;
    private long _rowBytes, _pitchBytes, _rows;

    /// <param name="packed">in the program's memory; consecutive runs lie one behind the other</param>
    public void Add(byte* device, byte* packed, long bytes)
    {
        if (bytes == 0) return;
        if (_rows > 0 && bytes == _rowBytes && packed == _host + _rows * _rowBytes)
        {
            long step = device - _device;
            if (_rows == 1 && step >= bytes) _pitchBytes = step;
            if (_pitchBytes > 0 && step == _rows * _pitchBytes)
            {
                _rows++;
                return;
            }
        }
        Flush();
        _device = device;
        _host = packed;
        (_rowBytes, _pitchBytes, _rows) = (bytes, 0, 1);
    }

    /// <summary>What was added is copied when this returns.</summary>
    /// <exception cref="MpiException">MPI_ERR_BUFFER: CUDA does not let it be reached</exception>
    public void Flush()
    {
        if (_rows == 0) return;
        CUresult result = DeviceMemory.Current!.Copy((ulong)_device, _pitchBytes, _host, _rowBytes, _rows, toHost);
        if (result != CUresult.CUDA_SUCCESS) throw new MpiException(ErrorClass.Buffer, $"device memory at 0x{(ulong)_device:x}: {result}");
        _rows = 0;
    }
}
