using System.Runtime.InteropServices;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Resources;

namespace TreCr.Process.Restore;

/// <summary>
/// The open file descriptions of a tree being made, held by this engine until every process has taken its own. Shared memory is made and filled here too.
/// </summary>
/// <remarks>Must be disposed before the tree runs: a pipe's end that stayed open here would never be seen closed.</remarks>
internal sealed unsafe class OpenFileRestore(SavedTree saved, GivenDescriptors given) : IDisposable
{
    private const int F_ADD_SEALS = 1033, RLIMIT_NOFILE = 7;
    private const int NotOfDescription = Sys.O_CREAT | Sys.O_EXCL | Sys.O_TRUNC;

    private readonly int[] _files = [.. Enumerable.Repeat(-1, saved.Tree.OpenFiles.Count)];
    private readonly Dictionary<string, int> _held = [];
    private readonly int[] _memory = [.. Enumerable.Repeat(-1, saved.Tree.SharedMemory.Count)];

    public TreeImage Tree => saved.Tree;
    public ISnapshotReader Reader => saved.Reader;
    public GivenDescriptors Given => given;

    /// <summary>Makes shared memory and opens everything.</summary>
    public void OpenAll()
    {
        ulong* limit = stackalloc ulong[2];
        if (Sys.Raw(SyscallNumber.Prlimit64, 0, RLIMIT_NOFILE, 0, (long)limit) >= 0 && limit[0] < limit[1])
        {
            limit[0] = limit[1];
            Sys.Raw(SyscallNumber.Prlimit64, 0, RLIMIT_NOFILE, (long)limit, 0);
        }
        OwnTerminals.Provide(Tree, given);
        RestoreFiles.MakeMissing(Tree);
        IpcState.Restore(Tree.Ipc, Reader);
        for (int i = 0; i < _memory.Length; i++) MakeMemory(i);
        for (int i = 0; i < _files.Length; i++)
            if (_files[i] < 0 && !OpenFileKinds.Of(Tree.OpenFiles[i]).NeedsProcesses)
            {
                OpenFileImage image = Tree.OpenFiles[i];
                OpenFileKinds.Of(image).Open(image, this);
                if (_files[i] < 0) throw new ProcessException($"{image.Link} was not opened");
            }
        for (int i = 0; i < _files.Length; i++)
            if (_files[i] >= 0) FileLocks.Restore(_files[i], Tree.OpenFiles[i]);
    }

    /// <summary>When every process has its mappings.</summary>
    public void FinishAll()
    {
        IpcState.Finish(Tree.Ipc);
        foreach (OpenFileImage image in Tree.OpenFiles) 
        {
            OpenFileKinds.Of(image).Finish(image, this);
            FileOwner.Restore(Get(image), image);
        }
        for (int i = 0; i < _memory.Length; i++)
            if (Tree.SharedMemory[i].Seals > 1) Sys.Check(Sys.Raw(SyscallNumber.Fcntl, _memory[i], F_ADD_SEALS, Tree.SharedMemory[i].Seals), "fcntl(F_ADD_SEALS)");
    }

    /// <summary>Gives the description of a saved one; it is this object's from now on.</summary>
    public void Set(OpenFileImage image, int fd)
    {
        int index = 0; // by identity: messages are equal when their contents are
        while (!ReferenceEquals(Tree.OpenFiles[index], image)) index++;
        Sys.Close(_files[index]);
        _files[index] = fd;
    }

    /// <summary>This engine's descriptor of a description.</summary>
    public int Get(OpenFileImage image)
    {
        uint index = 0; // by identity, as in Set
        while (!ReferenceEquals(Tree.OpenFiles[(int)index], image)) index++;
        return Get(index + 1);
    }

    /// <summary>What a kind keeps for its other descriptions; null: nothing yet.</summary>
    public int? Held(string key) => _held.TryGetValue(key, out int fd) ? fd : null;

    /// <summary>Keeps a descriptor under a kind's own key until all of them are closed.</summary>
    public int Hold(string key, int fd) => _held[key] = fd;

    /// <summary>This engine's descriptor of a description.</summary>
    /// <param name="id">index + 1, as descriptors name it</param>
    public int Get(uint id)
    {
        int index = (int)id - 1;
        if (_files[index] < 0) OpenFileKinds.Of(Tree.OpenFiles[index]).Open(Tree.OpenFiles[index], this);
        return _files[index];
    }

    /// <summary>This engine's memfd of a shared memory, by index.</summary>
    public int SharedMemory(int index) => index >= 0 && index < _memory.Length ? _memory[index] : throw new ImageException("a saved area names shared memory that is not in the image");

    private void MakeMemory(int index)
    {
        SharedMemoryImage memory = Tree.SharedMemory[index];
        if (memory.Window.Length > 0)
        {
            try { _memory[index] = WindowFile.Join(given.Meeting, memory.Window, (long)memory.LengthBytes, fd => Fill(fd, memory)); }
            catch (ArgumentException e) { throw new ImageException(e.Message); }
            return;
        }
        int fd = _memory[index] = Sys.MemfdCreate(memory.Name.Length > 0 ? memory.Name : "trecr-anonymous", Sys.MFD_CLOEXEC | (memory.Seals == 1 ? 0 : Sys.MFD_ALLOW_SEALING));
        Sys.Ftruncate(fd, (long)memory.LengthBytes);
        Fill(fd, memory);
    }

    private void Fill(int fd, SharedMemoryImage memory)
    {
        IPartReader part = Reader.OpenPart(memory.Part);
        const int Frame = ISnapshotWriter.FrameSizeBytes;
        byte* buffer = (byte*)NativeMemory.Alloc(Frame);
        try
        {
            foreach (long at in part.FrameOffsets)
            {
                part.ReadFrame(at, new Span<byte>(buffer, Frame));
                long length = Math.Min(Frame, (long)memory.LengthBytes - at);
                if (length > 0) Sys.Check(Sys.Raw(SyscallNumber.Pwrite64, fd, (long)buffer, length, at), "pwrite", "memfd");
            }
        }
        finally { NativeMemory.Free(buffer); }
    }

    /// <summary>Flags for opening a file again, close-on-exec: without what only creates.</summary>
    public static int OpenFlags(uint flags) => (int)flags & ~NotOfDescription | Sys.O_CLOEXEC;

    public static void Seek(int fd, OpenFileImage image)
    {
        if ((image.Flags & Sys.O_PATH) == 0 && image.Position != 0) Sys.Raw(SyscallNumber.Lseek, fd, image.Position, 0);
    }

    /// <summary>Append, non-blocking, direct.</summary>
    public static void SetStatusFlags(int fd, uint flags) => Sys.Raw(SyscallNumber.Fcntl, fd, Sys.F_SETFL, flags & (Sys.O_APPEND | Sys.O_NONBLOCK | 0x4000));

    public void Dispose()
    {
        foreach (int fd in _held.Values) Sys.Close(fd);
        _held.Clear();
        for (int i = 0; i < _files.Length; i++) { Sys.Close(_files[i]); _files[i] = -1; }
        for (int i = 0; i < _memory.Length; i++) { Sys.Close(_memory[i]); _memory[i] = -1; }
    }
}
