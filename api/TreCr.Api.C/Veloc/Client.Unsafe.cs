using System.Runtime.CompilerServices;

namespace TreCr.Api.C.Veloc;

/// <summary>The one client of a process. Every entry point comes through here: one at a time, and what goes wrong is one line on standard error and VELOC_FAILURE.</summary>
internal static unsafe class Client
{
    public const int Success = 0, Failure = -1;

    private static ProgramCheckpoints? s_checkpoints;

    /// <summary>Runs an entry point on the initialised client.</summary>
    /// <param name="failure">what the program gets for an exception</param>
    public static int Call(Func<ProgramCheckpoints, int> body, int failure = Failure, [CallerMemberName] string name = "")
        => Entry.Guard(() => body(s_checkpoints ?? throw new CheckpointException("VELOC_Init comes first")), failure, name);

    /// <summary>Runs an entry point that has no other answer than success.</summary>
    public static int Call(Action<ProgramCheckpoints> body, [CallerMemberName] string name = "") => Call(c =>
    {
        body(c);
        return Success;
    }, Failure, name);

    public static int Open(Func<IRankGroup> group, byte* configuration, [CallerMemberName] string name = "")
    {
        string path = Entry.Text(configuration);
        return Entry.Guard(() =>
        {
            if (s_checkpoints is not null) throw new CheckpointException("initialised already");
            Entry.Shield();
            HelperProcess.LibraryDirectory ??= Entry.OwnDirectory();
            IRankGroup ranks = group();
            Configuration? read = null;
            CheckpointSettings? settings = null;
            Exception? problem = null;
            try
            {
                read = Configuration.Read(path, Entry.Variable);
                settings = read.ToSettings(Entry.Variable("VELOC_BIN"));
            }
            catch (CheckpointException e) { problem = e; }
            // A rank that cannot take part tells the others here, where all are; else they would wait for it.
            if (ranks.Smallest(problem is null ? 1 : 0) == 0)
            {
                ranks.Dispose();
                throw problem ?? new CheckpointException("another rank has no usable configuration");
            }
            if (ranks.Rank == 0)
                foreach (string line in read!.Missing()) Entry.Say(name, line);
            s_checkpoints = new ProgramCheckpoints(settings!, ranks);
            return Success;
        }, Failure, name);
    }

    public static int Close(bool drain, [CallerMemberName] string name = "") => Call(checkpoints =>
    {
        try
        {
            if (drain) checkpoints.Wait();
        }
        finally
        {
            s_checkpoints = null;
            checkpoints.Dispose();
        }
    }, name);

    /// <summary>Numbers of the program.</summary>
    /// <exception cref="CheckpointException">fewer than none</exception>
    public static int[] Numbers(int* numbers, int count)
        => count < 0 || (count > 0 && numbers is null) ? throw new CheckpointException($"{count} numbers of regions at 0x{(nint)numbers:x}") : new ReadOnlySpan<int>(numbers, count).ToArray();
}
