using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TreCr.Linux;

namespace TreCr.Api.Veloc;

/// <summary>The one client of a process. Every entry point comes through here: one at a time, and what goes wrong is one line on standard error and VELOC_FAILURE.</summary>
internal static unsafe class Client
{
    public const int Success = 0, Failure = -1;

    private static readonly Lock s_gate = new();
    private static ProgramCheckpoints? s_checkpoints;
    private static bool s_shielded;

    /// <summary>Runs an entry point on the initialised client.</summary>
    /// <param name="failure">what the program gets for an exception</param>
    public static int Call(Func<ProgramCheckpoints, int> body, int failure = Failure, [CallerMemberName] string name = "")
        => Guard(() => body(s_checkpoints ?? throw new CheckpointException("VELOC_Init comes first")), failure, name);

    /// <summary>Runs an entry point that has no other answer than success.</summary>
    public static int Call(Action<ProgramCheckpoints> body, [CallerMemberName] string name = "") => Call(c =>
    {
        body(c);
        return Success;
    }, Failure, name);

    public static int Open(Func<IRankGroup> group, byte* configuration, [CallerMemberName] string name = "")
    {
        string path = Text(configuration);
        return Guard(() =>
        {
            if (s_checkpoints is not null) throw new CheckpointException("initialised already");
            Shield();
            HelperProcess.LibraryDirectory ??= OwnDirectory();
            IRankGroup ranks = group();
            Configuration? read = null;
            CheckpointSettings? settings = null;
            Exception? problem = null;
            try
            {
                read = Configuration.Read(path, Variable);
                settings = read.ToSettings(Variable("VELOC_BIN"));
            }
            catch (CheckpointException e) { problem = e; }
            // A rank that cannot take part tells the others here, where all are; else they would wait for it.
            if (ranks.Smallest(problem is null ? 1 : 0) == 0)
            {
                ranks.Dispose();
                throw problem ?? new CheckpointException("another rank has no usable configuration");
            }
            if (ranks.Rank == 0)
                foreach (string line in read!.Missing()) Say(name, line);
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

    /// <summary>A string of the program.</summary>
    public static string Text(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>Numbers of the program.</summary>
    /// <exception cref="CheckpointException">fewer than none</exception>
    public static int[] Numbers(int* numbers, int count)
        => count < 0 || (count > 0 && numbers is null) ? throw new CheckpointException($"{count} numbers of regions at 0x{(nint)numbers:x}") : new ReadOnlySpan<int>(numbers, count).ToArray();

    private static int Guard(Func<int> body, int failure, string name)
    {
        lock (s_gate)
        {
            try { return body(); }
            catch (Exception e)
            {
                Say(name, e.Message);
                return failure;
            }
        }
    }

    private static void Say(string name, string text)
    {
        byte[] line = Encoding.UTF8.GetBytes($"{name}: {text}\n");
        fixed (byte* p = line) Sys.Write(2, p, line.Length);
    }

    private static string? Variable(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name + '\0');
        return Marshal.PtrToStringUTF8((nint)Sys.GetEnvironment(bytes));
    }

    /// <summary>Directory of this library: where a line of /proc/self/maps has the address of one of its functions.</summary>
    private static string? OwnDirectory()
    {
        nint address = (nint)(delegate* unmanaged[Cdecl]<int, int>)&Exports.VELOC_Finalize;
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            string[] words = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 6 || words[0].Split('-') is not [var start, var end]) continue;
            if (address >= nint.Parse(start, System.Globalization.NumberStyles.HexNumber) && address < nint.Parse(end, System.Globalization.NumberStyles.HexNumber)) return Path.GetDirectoryName(words[5]);
        }
        return null;
    }

    /// <summary>The runtime's finalizer thread must not get the program's signals.</summary>
    private static void Shield()
    {
        if (s_shielded) return;
        s_shielded = true;
        Abandon();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Abandon() => _ = new SignalShield();

    private sealed class SignalShield
    {
        ~SignalShield() => Sys.BlockProgramSignals();
    }
}
