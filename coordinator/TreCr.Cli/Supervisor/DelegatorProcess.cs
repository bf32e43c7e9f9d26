using TreCr.Control;
using TreCr.Linux;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>A delegator that this supervisor started: outside the namespace, in a session of its own, without address randomisation (design.md §5).</summary>
internal sealed class DelegatorProcess : IDisposable
{
    /// <summary>
    /// 0: the runtime makes no socket and no FIFOs for debuggers in the temporary directory, which one that is killed leaves there. The environment is the only place where it looks (10.0.12: as a property in
    /// runtimeconfig.json it does nothing); the program's own environment stays as it is.
    /// </summary>
    private const string Diagnostics = "DOTNET_EnableDiagnostics";

    private DelegatorProcess(RankPeer peer, int pid, int pidfd) => (Peer, HostPid, Pidfd) = (peer, pid, pidfd);

    public RankPeer Peer { get; }

    public int HostPid { get; }

    /// <summary>Readable when it has ended.</summary>
    public int Pidfd { get; }

    /// <param name="maxExtraMemoryBytes">of the job, <see cref="JobOptions.MaxExtraMemoryBytes"/></param>
    /// <param name="portable">of the job, <see cref="JobOptions.Portable"/></param>
    /// <exception cref="TrecrException">it could not be started</exception>
    public static DelegatorProcess Start(string job, string store, string device, long maxExtraMemoryBytes, bool portable, string name)
    {
        const int ADDR_NO_RANDOMIZE = 0x0040000;
        string path = Installation.Delegator;
        (int ours, int theirs) = Sys.SocketPair();
        try
        {
            List<string> environment = [.. OwnEnvironment.Words()];
            if (environment.RemoveAll(e => e == Diagnostics + "=") > 0 || !environment.Any(e => e.StartsWith(Diagnostics + "=", StringComparison.Ordinal))) environment.Add(Diagnostics + "=0");
            List<string> words = ["trecr-delegator", "--control-fd", "3", "--store", store, "--device", device, "--job", job, "--meetings", Coordinator.RuntimeDirectory.Open().Path];
            if (maxExtraMemoryBytes > 0) words.AddRange(["--max-extra-memory", $"{maxExtraMemoryBytes / 2}"]);
            if (portable) words.AddRange(["--portable", "1"]);
            CloneResult result = OutsideProcess.Start(path, words, Store.StoreKeySource.ForChild(environment), [theirs], TrecrError.DelegatorStart, ADDR_NO_RANDOMIZE);
            return new DelegatorProcess(new RankPeer(ours, name, TrecrError.DelegatorLost), result.Pid, result.Pidfd);
        }
        catch
        {
            Sys.Close(ours);
            throw;
        }
        finally { Sys.Close(theirs); }
    }

    /// <summary>Ends it without asking.</summary>
    public void Kill() => Sys.Raw(SyscallNumber.PidfdSendSignal, Pidfd, Sys.SIGKILL, 0, 0);

    /// <summary>Waits for its end and reaps it.</summary>
    /// <returns>wait status; null: it still runs</returns>
    public int? WaitForEnd(int timeoutMs)
    {
        Span<PollEntry> ready = [new PollEntry { Fd = Pidfd, Events = Sys.POLLIN }];
        if (Sys.Poll(ready, timeoutMs) <= 0) return null;
        return Sys.Wait(HostPid, Sys.WNOHANG, out int status) == HostPid ? status : 0;
    }

    /// <summary>Closes the connection, on which it ends by itself; kills it where it does not within 5 s.</summary>
    public void Dispose()
    {
        Peer.Dispose();
        if (WaitForEnd(5_000) is null)
        {
            Kill();
            WaitForEnd(30_000);
        }
        Sys.Close(Pidfd);
    }
}
