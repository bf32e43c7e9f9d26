using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TreCr.Api.Scr;
using TreCr.Linux;

namespace TreCr.Api.C.Scr;

/// <summary>SCR in a process: not initialised, switched off (SCR_ENABLE=0), or a session.</summary>
internal static unsafe class Client
{
    public const int Success = 0, Failure = 1;
    public const int MaxPath = 1024; // SCR_MAX_FILENAME

    private static ScrSession? s_session;
    private static ScrParameters? s_parameters;
    private static List<string> s_settings = [];

    public static bool IsEnabled => Entry.Variable("SCR_ENABLE") is not "0";

    /// <summary>Runs an entry point on the session.</summary>
    public static int Call(Func<ScrSession, bool> body, [CallerMemberName] string name = "")
        => !IsEnabled ? Failure : Entry.Guard(() => body(s_session ?? throw new CheckpointException("SCR_Init comes first")) ? Success : Failure, Failure, name);

    /// <inheritdoc cref="Call(Func{ScrSession, bool}, string)"/>
    public static int Call(Action<ScrSession> body, [CallerMemberName] string name = "") => Call(s =>
    {
        body(s);
        return true;
    }, name);

    /// <summary>A call after which a halt condition may end the program, where the user has asked for that (SCR_HALT_EXIT).</summary>
    public static int CallAndExit(Func<ScrSession, bool> body, [CallerMemberName] string name = "")
    {
        int code = Call(body, name);
        if (code == Success && Entry.Guard(() => s_session!.MustExit ? 1 : 0, 0, name) == 1) Exit(name);
        return code;
    }

    public static int Open([CallerMemberName] string name = "")
    {
        if (!IsEnabled) return Failure;
        int code = Entry.Guard(() =>
        {
            if (s_session is not null) throw new CheckpointException("initialised already");
            Entry.Shield();
            IRankMessages ranks = MpiGroup.IsThere ? new MpiGroup(null, name) : new SingleRank();
            Exception? problem = null;
            try { s_parameters = Parameters(); }
            catch (CheckpointException e) { problem = e; }
            try
            {
                // A rank that cannot take part tells the others here, where all are; else they would wait for it.
                if (ranks.Smallest(problem is null ? 1 : 0) == 0) throw problem ?? new CheckpointException("another rank has no usable configuration");
                s_session = new ScrSession(ranks, s_parameters!, Entry.Variable("SCR_NODE_NAME") is { Length: > 0 } node ? node : Environment.MachineName, line => Entry.Say("SCR", line));
            }
            catch
            {
                ranks.Dispose();
                throw;
            }
            return Success;
        }, Failure, name);
        if (code == Success && Entry.Guard(() => s_session!.MustExit ? 1 : 0, 0, name) == 1) Exit(name);
        return code;
    }

    public static int Close([CallerMemberName] string name = "") => Call(session =>
    {
        try { session.Close(); }
        finally
        {
            s_session = null;
            s_settings = [];
            session.Dispose();
        }
    }, name);

    /// <summary>SCR_Config: the answer to a question, which the program frees; else null.</summary>
    public static nint Configure(string text, [CallerMemberName] string name = "")
    {
        string? answer = null;
        Entry.Guard(() =>
        {
            if (s_session is not null) answer = s_session.Configure(text);
            else
            {
                answer = Parameters().Configure(text, frozen: false);
                if (answer is null) s_settings.Add(text);
            }
            return Success;
        }, Failure, name);
        return answer is null ? 0 : Allocate(answer);
    }

    /// <summary>Writes a path into a buffer of <see cref="MaxPath"/> bytes.</summary>
    public static void Put(string text, byte* into)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text + '\0');
        if (bytes.Length > MaxPath) throw new CheckpointException($"{text}: does not fit into {MaxPath} bytes");
        if (into is not null) bytes.CopyTo(new Span<byte>(into, MaxPath));
    }

    /// <summary>Memory of malloc(3) with a string in it.</summary>
    public static nint Allocate(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text + '\0');
        byte* copy = (byte*)NativeMemory.Alloc((nuint)bytes.Length);
        bytes.CopyTo(new Span<byte>(copy, bytes.Length));
        return (nint)copy;
    }

    /// <summary>The files as they are now, with what the program has set.</summary>
    private static ScrParameters Parameters()
    {
        ScrParameters parameters = new(Entry.Variable);
        foreach (string setting in s_settings) parameters.Configure(setting, frozen: false);
        return parameters;
    }

    private static void Exit(string name)
    {
        Entry.Say(name, "a halt condition holds, and SCR_HALT_EXIT=1: the program ends");
        Close();
        if (MpiGroup.IsThere) ((delegate* unmanaged<int>)Sys.FindSymbol("MPI_Finalize"))();
        ((delegate* unmanaged<int, void>)Sys.FindSymbol("exit"))(0);
    }
}
