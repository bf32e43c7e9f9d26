using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using TreCr.Linux;

namespace TreCr.Api;

/// <summary>Writes a new file from its beginning to its end, and seals it. Hashes are of the bytes that were copied for the file, never of memory that may change.</summary>
/// <remarks>The file is locked (flock(2)) until this is disposed: an unlocked one was left by a process that has ended.</remarks>
internal sealed unsafe class SealedFileWriter : IDisposable
{
    private readonly SafeFileHandle _file;
    private readonly byte* _buffer;
    private long _written;
    private int _filled;
    private bool _finished;

    /// <param name="path">replaced where it exists</param>
    public SealedFileWriter(string path, int launch)
    {
        Path = path;
        Seal = new FileSeal(launch);
        _file = File.OpenHandle(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        Sys.Flock((int)_file.DangerousGetHandle(), Sys.LOCK_EX | Sys.LOCK_NB);
        _buffer = (byte*)NativeMemory.AlignedAlloc(FileSeal.PieceBytes, 4096);
    }

    public string Path { get; }

    public FileSeal Seal { get; }

    /// <summary>Appends bytes of a memory.</summary>
    public void Append(IRegionMemory memory, nint address, long bytes)
    {
        while (bytes > 0)
        {
            int part = (int)Math.Min(bytes, FileSeal.PieceBytes - _filled);
            memory.Read(address, new Span<byte>(_buffer + _filled, part));
            Filled(part);
            address += part;
            bytes -= part;
        }
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int part = Math.Min(bytes.Length, FileSeal.PieceBytes - _filled);
            bytes[..part].CopyTo(new Span<byte>(_buffer + _filled, part));
            Filled(part);
            bytes = bytes[part..];
        }
    }

    /// <summary>Ends the file.</summary>
    /// <param name="durable">its bytes are on the disk when this returns</param>
    public FileSeal Finish(bool durable)
    {
        WriteOut();
        if (durable) RandomAccess.FlushToDisk(_file);
        _finished = true;
        return Seal;
    }

    /// <summary>Removes the file where it was not finished.</summary>
    public void Dispose()
    {
        if (!_finished) File.Delete(Path);
        _file.Dispose();
        NativeMemory.AlignedFree(_buffer);
    }

    private void Filled(int bytes)
    {
        _filled += bytes;
        if (_filled == FileSeal.PieceBytes) WriteOut();
    }

    private void WriteOut()
    {
        if (_filled == 0) return;
        ReadOnlySpan<byte> piece = new(_buffer, _filled);
        Seal.Add(piece);
        RandomAccess.Write(_file, piece, _written);
        _written += _filled;
        _filled = 0;
    }
}
