using Google.Protobuf;
using TreCr.Control;
using TreCr.Linux;
using TreCr.Process;
using TreCr.Rank;

namespace TreCr.Cli;

/// <summary>
/// Holds what an engine needs to serve the missing memory of a lazily restored program, until all of it is there: as long as these descriptors are open, a thread that needs a page waits for it, also
/// where the engine has died, and the next engine goes on.
/// </summary>
/// <param name="descriptors">of the engine's answer to the restore; owned</param>
internal sealed class LazyKeeper(RankSupervisor supervisor, ByteString manifestHash, int[] descriptors)
{
    private const int LookMs = 20, TakeOverMs = 60_000;

    private readonly Lock _lock = new();
    private bool _closed;

    /// <param name="done">called when all memory is there, or the program has ended</param>
    public void Start(Action done) => new Thread(() =>
    {
        try
        {
            while (!supervisor.ProgramEnded && !ProcessEngine.IsServed(descriptors))
            {
                supervisor.Engine();
                Sys.SleepNs(LookMs * 1_000_000L);
            }
        }
        catch (TrecrException) { } // the program was killed, and it was said why
        catch (Exception) when (supervisor.ProgramEnded) { } // and its namespace with it
        catch (Process.Launch.LaunchException) { } // init is gone, and the kernel ends the program
        done();
        lock (_lock)
        {
            _closed = true;
            foreach (int fd in descriptors) Sys.Close(fd);
        }
    }, 512 * 1024)
    { IsBackground = true, Name = "lazy" }.Start();

    /// <summary>A new engine goes on, before it is asked anything else.</summary>
    /// <exception cref="TrecrException">it cannot: the program was killed</exception>
    public void HandTo(EngineProcess engine)
    {
        lock (_lock)
        {
            if (_closed || supervisor.ProgramEnded || ProcessEngine.IsServed(descriptors)) return;
            try { engine.Peer.Ask(new Request { ServePages = new ServePagesRequest { ManifestHash = manifestHash } }, TakeOverMs, TrecrError.RestoreFailed, descriptors); }
            catch (TrecrException e)
            {
                supervisor.KillProgram();
                Output.Error(e.Error, $"the engine died while memory of the program was missing, and no other could go on; the program was killed: {e.Message}");
                throw;
            }
        }
    }
}
