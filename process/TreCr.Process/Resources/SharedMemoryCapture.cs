using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>memfds and shared anonymous memory of a tree, each saved once. Content is taken from the file where a descriptor is open, else from the mappings.</summary>
internal sealed unsafe class SharedMemoryCapture(TreeImage image, ISnapshotWriter writer)
{
    private const int F_GET_SEALS = 1034, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4, Frame = ISnapshotWriter.FrameSizeBytes;

    private readonly Dictionary<ulong, int> _index = [];
    private readonly Dictionary<ulong, (int Pid, int Number)> _descriptors = [];
    private readonly Dictionary<ulong, List<(int Pid, Vma Area)>> _mappings = [];

    /// <summary>Index + 1 in the image of the memory that an area maps.</summary>
    public uint NoteMapping(int pid, Vma area)
    {
        if (!_mappings.TryGetValue(area.Inode, out List<(int, Vma)>? mappings)) _mappings[area.Inode] = mappings = [];
        mappings.Add((pid, area));
        return Note(area.Inode, area.Path);
    }

    private uint Note(ulong inode, string link)
    {
        if (_index.TryGetValue(inode, out int index)) return (uint)index + 1;
        string name = link.StartsWith("/memfd:", StringComparison.Ordinal) ? link[7..] : "";
        if (name.EndsWith(" (deleted)", StringComparison.Ordinal)) name = name[..^10];
        _index[inode] = image.SharedMemory.Count;
        image.SharedMemory.Add(new SharedMemoryImage { Name = name, Inode = inode, Window = WindowFile.Of(link), Part = $"shared-{image.SharedMemory.Count}" });
        return (uint)image.SharedMemory.Count;
    }

    /// <summary>The same for an open memfd.</summary>
    public uint NoteDescriptor(OpenDescriptor d)
    {
        _descriptors.TryAdd(d.Facts.Inode, (d.Pid, d.Number));
        return Note(d.Facts.Inode, d.Link);
    }

    /// <summary>When all processes are noted.</summary>
    public void Save()
    {
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(Frame, 4096);
        try
        {
            foreach (var (inode, index) in _index)
            {
                SharedMemoryImage memory = image.SharedMemory[index];
                if (memory.Window.Length > 0) image.FormatVersion = Math.Max(image.FormatVersion, ProcessImageFormat.WithWindows);
                if (_descriptors.TryGetValue(inode, out var at)) SaveFile(memory, $"/proc/{at.Pid}/fd/{at.Number}", buffer);
                else SaveMappings(memory, _mappings[inode], buffer);
            }
        }
        finally { NativeMemory.AlignedFree(buffer); }
    }

    private void SaveFile(SharedMemoryImage memory, string path, byte* buffer)
    {
        int fd = Sys.Open(path, Sys.O_RDONLY | Sys.O_CLOEXEC);
        try
        {
            long length = Sys.Check(Sys.Raw(SyscallNumber.Lseek, fd, 0, SEEK_END), "lseek");
            memory.LengthBytes = (ulong)length;
            memory.Seals = (uint)Math.Max(0, Sys.Raw(SyscallNumber.Fcntl, fd, F_GET_SEALS));
            IPartWriter part = writer.OpenPart(memory.Part, Math.Max(1, length));
            for (long at = 0; (at = Sys.Raw(SyscallNumber.Lseek, fd, at, SEEK_DATA)) >= 0;)
            {
                long end = Sys.Check(Sys.Raw(SyscallNumber.Lseek, fd, at, SEEK_HOLE), "lseek(SEEK_HOLE)");
                for (at &= -Frame; at < end; at += Frame)
                {
                    long n = Sys.Check(Sys.Raw(SyscallNumber.Pread64, fd, (long)buffer, Math.Min(Frame, length - at), at), "pread", "memfd");
                    part.WriteFrame(at, new ReadOnlySpan<byte>(buffer, (int)n));
                }
            }
        }
        finally { Sys.Close(fd); }
    }

    private void SaveMappings(SharedMemoryImage memory, List<(int Pid, Vma Area)> mappings, byte* buffer)
    {
        long length = mappings.Max(m => (long)(m.Area.Offset + m.Area.LengthBytes));
        memory.LengthBytes = (ulong)length;
        IPartWriter part = writer.OpenPart(memory.Part, length);
        for (long frame = 0; frame < length; frame += Frame)
        {
            NativeMemory.Clear(buffer, Frame);
            bool any = false;
            foreach (var (pid, m) in mappings)
            {
                long from = Math.Max(frame, (long)m.Offset), to = Math.Min(frame + Frame, (long)(m.Offset + m.LengthBytes));
                if (to <= from) continue;
                long n = Sys.ProcessVmRead(pid, m.Start + (ulong)from - m.Offset, buffer + (from - frame), to - from);
                any |= n > 0;
                if (n == Math.Min(Frame, length - frame)) break; // all of it: other mappings show the same
            }
            if (any) part.WriteFrame(frame, new ReadOnlySpan<byte>(buffer, (int)Math.Min(Frame, length - frame)));
        }
    }
}
