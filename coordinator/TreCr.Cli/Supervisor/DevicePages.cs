using Google.Protobuf;
using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>
/// Sees to it that the device memory of a lazily restarted program comes: starts the process that brings it (<see cref="PagesVerb"/>), and another where that one dies. The descriptors are held until all is there, so that
/// who waits for a page meanwhile waits on.
/// </summary>
/// <param name="manifestHash">of the delegator's snapshot</param>
/// <param name="descriptors">of the delegator's answer: its userfaultfd, an eventfd for the end; owned</param>
internal sealed class DevicePages(RankSupervisor supervisor, ByteString manifestHash, int[] descriptors) : IDisposable
{
    /// <summary>Deaths after which nobody tries any more.</summary>
    private const int MostDeaths = 5;

    private int _disposed;

    /// <summary>Once, when the program is about to run.</summary>
    public void Start() => new Thread(() =>
    {
        try
        {
            for (int deaths = 0; !Serve(); deaths++)
                if (deaths == MostDeaths) throw new TrecrException(TrecrError.RestoreFailed, "the process that brings its device memory dies again and again");
        }
        catch (TrecrException e)
        {
            supervisor.KillProgram(); // with memory that nobody has it cannot go on
            if (!supervisor.ProgramEnded || e.Error != TrecrError.JobEnded) Output.Error(e.Error, $"the program was killed: {e.Message}");
        }
        finally { Dispose(); }
    }, 512 * 1024)
    { IsBackground = true, Name = "device pages" }.Start();

    /// <returns>false: the server died</returns>
    private bool Serve()
    {
        (int ours, int theirs) = Sys.SocketPair();
        CloneResult server;
        try
        {
            List<string> environment = Store.StoreKeySource.ForChild(OwnEnvironment.Words());
            string[] words = ["trecr", PagesVerb.Name, Convert.ToHexStringLower(manifestHash.Span), "--store", supervisor.Store];
            server = OutsideProcess.Start(Installation.Trecr, words, environment, [theirs, .. descriptors], TrecrError.RestoreFailed);
        }
        finally { Sys.Close(theirs); }
        try
        {
            if (Sys.Wait(server.Pid, 0, out int status) < 0 || status == 0) return true;
            // A signal: another one may do. An exit code: it has said why.
            return (status & 0x7f) != 0 ? false : throw new TrecrException(TrecrError.RestoreFailed, "its device memory cannot be read from the store");
        }
        finally
        {
            Sys.Close(ours);
            Sys.Close(server.Pidfd);
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        foreach (int fd in descriptors) Sys.Close(fd);
    }
}
