using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Memory;
using TreCr.Process.Read;
using TreCr.Process.Resources;
using TreCr.Process.Restore;

namespace TreCr.Process.Lazy;

/// <summary>The memory of a restored tree that comes while it runs: collected by the restore, then served.</summary>
internal sealed class LazyRestore : IDisposable
{
    /// <summary>Two descriptors of each process go to the supervisor with one message.</summary>
    private const int MostProcesses = 8;

    private readonly List<LazyMemory> _memories = [];
    private readonly List<int> _descriptors = [];
    private LazyServer? _server;
    private string? _why;

    /// <summary>Why memory that could have come later was filled before; null: it was not.</summary>
    public string? WhyNot => _why;

    /// <summary>Userfaultfd and state of each process, in turn: what a successor of this engine needs. The caller sends them on before the program runs, and does not close them.</summary>
    public IReadOnlyList<int> Descriptors => _descriptors;

    /// <summary>Pid of the tree's root.</summary>
    public int Root { get; set; }

    /// <summary>Called on another thread when a page cannot be had: the program has been killed.</summary>
    public Action<Exception>? OnFailure { get; set; }

    /// <summary>Called on another thread when all pages are there.</summary>
    public Action? OnDone { get; set; }

    public bool IsDone => _server?.IsDone ?? true;

    /// <summary>A process whose memory is mapped and empty.</summary>
    /// <param name="inside">number of a userfaultfd in it, or -errno</param>
    public void Add(int pid, RestoreMemory memory, long inside)
    {
        if (_memories.Count == MostProcesses || memory.FillLazily(pid, inside, ref _why) is not { } lazy) return;
        _memories.Add(lazy);
        _descriptors.AddRange([lazy.Descriptor, lazy.StateDescriptor]);
    }

    /// <summary>Takes the place of an engine that died.</summary>
    /// <param name="descriptors">owned</param>
    /// <exception cref="ProcessException">it died at a moment when it knew what nobody knows now</exception>
    public static LazyRestore TakeOver(ISnapshotReader reader, int[] descriptors)
    {
        SavedTree saved = SavedTree.Load(reader);
        LazyRestore lazy = new() { Root = saved.Tree.Root };
        LazyState[] states = [.. descriptors.Where((_, i) => i % 2 == 1).Select(fd => LazyState.Open(fd))];
        // The keeper stays then: what only it holds would be zeroes.
        if (Array.Exists(states, s => s.Status == LazyStatus.Unsure)) throw new ProcessException("the engine died while it noted a change of the program's memory");
        foreach (int keeper in states.Select(s => s.Keeper).Distinct()) DescriptorKeeper.EndOf(keeper);
        for (int i = 0; i + 1 < descriptors.Length; i += 2)
        {
            LazyState state = states[i / 2];
            if (state.Status == LazyStatus.Done)
            {
                Sys.Close(descriptors[i]);
                state.Dispose();
                continue;
            }
            ProcessImage image = saved.Processes.FirstOrDefault(p => p.Pid == state.Pid) ?? throw new ImageException($"process {state.Pid} is not in the snapshot");
            LazyMemory memory = new(descriptors[i], reader.OpenPart(image.MemoryPart.Length > 0 ? image.MemoryPart : ProcessImageFormat.MemoryPart), PageRun.Decode(image.RunGapPages, image.RunLengthPages), state);
            lazy._memories.Add(memory);
            lazy._descriptors.AddRange([descriptors[i], descriptors[i + 1]]);
            memory.WakeAll();
        }
        return lazy;
    }

    /// <summary>Serves page faults from now on. Before anything touches the memory.</summary>
    public void Serve()
    {
        if (_memories.Count == 0) return;
        DescriptorKeeper keeper = DescriptorKeeper.Start();
        foreach (LazyMemory memory in _memories) memory.SetKeeper(keeper.Pid);
        (_server = new LazyServer(_memories, keeper, Fail, () => OnDone?.Invoke())).Start();
    }

    /// <summary>The program runs, and a successor could take over: copies everything.</summary>
    public void CopyAll()
    {
        if (_server is null) OnDone?.Invoke();
        else _server.CopyAll();
    }

    /// <summary>Waits until all memory is there.</summary>
    /// <exception cref="ProcessException">it is not in time, or cannot be read</exception>
    public void Complete(int timeoutMs) => _server?.Wait(timeoutMs);

    /// <summary>The program cannot go on with pages that nobody has.</summary>
    private void Fail(Exception e)
    {
        foreach (ProcStatus process in JobProcesses.List(Root)) Sys.Kill(process.Pid, Sys.SIGKILL);
        OnFailure?.Invoke(e);
    }

    /// <summary>Ends serving. Where pages are missing the program must be gone: closing a userfaultfd makes them zero.</summary>
    public void Dispose()
    {
        _server?.Dispose();
        foreach (LazyMemory memory in _memories) memory.Abandon();
        _memories.Clear();
    }
}
