using System.Runtime.CompilerServices;
using TreCr.Api.Gpi;

namespace TreCr.Api.C.Gpi;

/// <summary>The one rank of a process. Every entry point of GASPI and GPI_CP comes through here; several threads may be inside at a time, since a call may wait for another rank's.</summary>
internal static class Client
{
    private static readonly CallsUnderWay s_calls = new();
    private static readonly Lock s_gate = new();
    private static GpiSession? s_session;

    public static bool IsOpen => s_session is not null;

    /// <summary>Runs an entry point: what goes wrong is one line on standard error and GASPI's value for it.</summary>
    public static int Guard(Func<GpiCode> body, [CallerMemberName] string name = "")
    {
        try { return (int)body(); }
        catch (Exception e)
        {
            Entry.Say(name, e.Message);
            return (int)(e is GpiException { Code: var code } ? code : GpiCode.Error);
        }
    }

    /// <summary>Runs an entry point of an initialised rank.</summary>
    public static int Call(Func<GpiSession, GpiCode> body, [CallerMemberName] string name = "")
        => Guard(() => body(s_session ?? throw new GpiException(GpiCode.NotInitialised, "gaspi_proc_init comes first")), name);

    /// <summary>Runs an entry point that has no other answer than success.</summary>
    public static int Do(Action<GpiSession> body, [CallerMemberName] string name = "") => Call(s =>
    {
        body(s);
        return GpiCode.Success;
    }, name);

    /// <summary>Runs a call that waits for others: one that times out goes on when it is made again.</summary>
    /// <param name="of">which group, description or segment it is about</param>
    public static int Await<T>(ulong timeout, object of, Func<GpiSession, Task<T>> begin, Action<T> then, [CallerMemberName] string name = "") => Call(s =>
    {
        if (!s_calls.TryEnd($"{name} {of}", timeout, () => begin(s), out T result)) return GpiCode.Timeout;
        then(result);
        return GpiCode.Success;
    }, name);

    /// <inheritdoc cref="Await{T}"/>
    public static int Await(ulong timeout, object of, Func<GpiSession, Task> begin, [CallerMemberName] string name = "") => Await(timeout, of, async s =>
    {
        await begin(s);
        return true;
    }, _ => { }, name);

    /// <summary>Whether a call of that name is under way.</summary>
    public static bool IsUnderWay(string name, object of) => s_calls.Has($"{name} {of}");

    /// <summary>Nobody waits for a call's result any more.</summary>
    public static void Forget(string name, object of) => s_calls.Forget($"{name} {of}");

    public static int Open(ulong timeout, [CallerMemberName] string name = "") => Guard(() =>
    {
        lock (s_gate)
        {
            if (s_session is not null) throw new GpiException(GpiCode.InitialisedAlready, "initialised already");
            return s_calls.TryEnd(name, timeout, Begin, out s_session) ? GpiCode.Success : GpiCode.Timeout;
        }

        static async Task<GpiSession?> Begin()
        {
            Entry.Shield();
            HelperProcess.LibraryDirectory ??= Entry.OwnDirectory();
            GpiSession session = new(LaunchPlace.Find(Entry.Variable));
            try { await session.Meet(); }
            catch
            {
                session.Dispose();
                throw;
            }
            return session;
        }
    }, name);

    public static int Close([CallerMemberName] string name = "") => Do(session =>
    {
        s_session = null;
        Descriptions.Clear();
        session.Dispose();
    }, name);

    /// <summary>Refuses a null pointer.</summary>
    public static unsafe void NotNull(void* pointer)
    {
        if (pointer is null) throw new GpiException(GpiCode.NullPointer, "a pointer is NULL");
    }
}
