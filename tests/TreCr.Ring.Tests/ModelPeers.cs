using TreCr.Linux;

namespace TreCr.Ring.Tests;

/// <summary>A delegator under test: in this process, or another.</summary>
internal interface IModelPeer
{
    bool Close(out string? blocker);
    void Open();
    void Kill();
}

internal sealed unsafe class ThreadPeer(Segment segment, ModelState* state) : IModelPeer
{
    private readonly ModelDelegator _delegator = new(segment, state);

    public bool Close(out string? blocker) => _delegator.Close(TimeSpan.FromSeconds(60), out blocker);

    public void Open() => _delegator.Dispatcher.Open();

    public void Kill() => _delegator.Dispose();
}

/// <summary>A process that takes one-byte orders on a socket.</summary>
internal sealed unsafe class ProcessPeer : IModelPeer
{
    private readonly int _socket, _pid;

    public ProcessPeer(int segmentFd, int stateFd)
    {
        (_socket, int theirs) = Sys.SocketPair();
        // Numbers that nothing else in the child uses; duplicates lose close-on-exec only here.
        int[] numbers = [Sys.Duplicate(segmentFd, 50), Sys.Duplicate(stateFd, 50), Sys.Duplicate(theirs, 50)];
        foreach (int fd in numbers) Sys.SetInheritable(fd);
        string self = typeof(ProcessPeer).Assembly.Location;
        // It is killed: debuggers' socket and FIFOs would stay in the temporary directory.
        string dotnet = Environment.ProcessPath!.EndsWith("dotnet") ? Environment.ProcessPath : "dotnet";
        _pid = Sys.Spawn("/usr/bin/env", ["env", "DOTNET_EnableDiagnostics=0", dotnet, self, "delegator", .. numbers.Select(n => n.ToString())]);
        foreach (int fd in numbers) Sys.Close(fd);
        Sys.Close(theirs);
        if (!Receive('s')) throw new InvalidOperationException("the delegator process did not start");
    }

    public bool Close(out string? blocker)
    {
        blocker = "the delegator process";
        return Order('c');
    }

    public void Open() => Order('o');

    public void Kill()
    {
        Sys.Kill(_pid, Sys.SIGKILL);
        Sys.Wait(_pid, 0, out _);
        Sys.Close(_socket);
    }

    private bool Order(char order)
    {
        byte b = (byte)order;
        Sys.Send(_socket, new ReadOnlySpan<byte>(in b));
        return Receive(order);
    }

    private bool Receive(char expected)
    {
        PollEntry entry = new() { Fd = _socket, Events = Sys.POLLIN };
        if (Sys.Poll(new Span<PollEntry>(ref entry), 90_000) <= 0) return false;
        byte b = 0;
        return Sys.Receive(_socket, new Span<byte>(ref b), [], out _) == 1 && b == expected;
    }

    /// <summary>The other process.</summary>
    public static int Serve(string[] fds)
    {
        Segment segment = Segment.Map(int.Parse(fds[0]), dontFork: false);
        ModelState* state = ModelState.Map(int.Parse(fds[1]));
        int socket = int.Parse(fds[2]);
        using ModelDelegator delegator = new(segment, state);
        byte order = (byte)'s';
        while (true)
        {
            Sys.Send(socket, new ReadOnlySpan<byte>(in order));
            if (Sys.Receive(socket, new Span<byte>(ref order), [], out _) <= 0) return 0;
            if (order == 'c' && !delegator.Close(TimeSpan.FromSeconds(60), out _)) order = (byte)'!';
            if (order == 'o') delegator.Dispatcher.Open();
        }
    }
}
