using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>memfds and shared anonymous memory of a process. Content is taken from the file where a descriptor is open, else from the mappings.</summary>
internal sealed unsafe class SharedMemoryCapture(int pid, ProcessImage image, ISnapshotWriter writer)
{
    private const int F_GET_SEALS = 1034, SEEK_END = 2, SEEK_DATA = 3, SEEK_HOLE = 4, Frame = ISnapshotWriter.FrameSizeBytes;

    private readonly Dictionary<ulong, int> _index = [];
    private readonly Dictionary<ulong, int> _descriptors = [];

    /// <summary>Index + 1 in the image of the memory with this inode.</summary>
    public uint Note(ulong inode, string link)
    {
        if (_index.TryGetValue(inode, out int index)) return (uint)index + 1;
        string name = link.StartsWith("/memfd:", StringComparison.Ordinal) ? link[7..] : "";
        if (name.EndsWith(" (deleted)", StringComparison.Ordinal)) name = name[..^10];
        _index[inode] = image.SharedMemory.Count;
        image.SharedMemory.Add(new SharedMemoryImage { Name = name, Inode = inode, Part = $"shared-{image.SharedMemory.Count}" });
        return (uint)image.SharedMemory.Count;
    }

    /// <summary>The same for an open memfd.</summary>
    public uint NoteDescriptor(int number, string link)
    {
        ulong inode = InodeOf($"/proc/{pid}/fd/{number}");
        _descriptors.TryAdd(inode, number);
        return Note(inode, link);
    }

    public static ulong InodeOf(string path)
    {
        // struct stat: st_ino at 8. O_PATH: no read permission needed.
        int fd = Sys.Open(path, Sys.O_PATH | Sys.O_CLOEXEC);
        byte* stat = stackalloc byte[144];
        long result = Sys.Raw(SyscallNumber.Fstat, fd, (long)stat);
        Sys.Close(fd);
        Sys.Check(result, "fstat", path);
        return *(ulong*)(stat + 8);
    }

    public void Save(List<Vma> areas)
    {
        byte* buffer = (byte*)NativeMemory.AlignedAlloc(Frame, 4096);
        try
        {
            foreach (var (inode, index) in _index)
            {
                SharedMemoryImage memory = image.SharedMemory[index];
                List<Vma> mappings = [.. areas.Where(a => a.Shared && a.Inode == inode && (a.IsMemfd || a.IsSharedAnonymous))];
                if (_descriptors.TryGetValue(inode, out int number)) SaveFile(memory, number, buffer);
                else SaveMappings(memory, mappings, buffer);
            }
        }
        finally { NativeMemory.AlignedFree(buffer); }
    }

    private void SaveFile(SharedMemoryImage memory, int number, byte* buffer)
    {
        int fd = Sys.Open($"/proc/{pid}/fd/{number}", Sys.O_RDONLY | Sys.O_CLOEXEC);
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

    private void SaveMappings(SharedMemoryImage memory, List<Vma> mappings, byte* buffer)
    {
        long length = mappings.Max(m => (long)(m.Offset + m.LengthBytes));
        memory.LengthBytes = (ulong)length;
        IPartWriter part = writer.OpenPart(memory.Part, length);
        for (long frame = 0; frame < length; frame += Frame)
        {
            NativeMemory.Clear(buffer, Frame);
            bool any = false;
            foreach (Vma m in mappings)
            {
                long from = Math.Max(frame, (long)m.Offset), to = Math.Min(frame + Frame, (long)(m.Offset + m.LengthBytes));
                if (to > from) any |= Sys.ProcessVmRead(pid, m.Start + (ulong)from - m.Offset, buffer + (from - frame), to - from) > 0;
            }
            if (any) part.WriteFrame(frame, new ReadOnlySpan<byte>(buffer, (int)Math.Min(Frame, length - frame)));
        }
    }
}
