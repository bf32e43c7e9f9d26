using System.Runtime.InteropServices;
using TreCr.Linux;
using TreCr.Ring;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Mpi;

/// <summary>Begin and end of MPI in this process: the segment, and the delegator behind the supervisor.</summary>
internal static unsafe class Lifetime
{
    private static bool s_definedFirst, s_endsAtExit;
    private static int s_sessions;

    /// <summary>Whether MPI_Init and MPI_Finalize have been called: sessions know nothing of that.</summary>
    public static LibraryState World { get; private set; }

    /// <summary>Ready for the calls that may come before the library runs: about info objects and error handlers.</summary>
    public static void DefineFirst()
    {
        if (s_definedFirst) return;
        s_definedFirst = true;
        MpiAbi.Detect();
        Errhandler.Define();
        InfoObject.Define();
        Session.Define();
    }

    /// <summary>Ready to answer calls about handles, before and after the library runs.</summary>
    private static void Define()
    {
        DefineFirst();
        PredefinedTypes.Define();
        Op.Define();
        Group.Define();
        Request.Define();
        PendingMessage.Define();
        Comm.Define();
        Window.Define();
        MpiFile.Define();
    }

    /// <summary>MPI_Init.</summary>
    /// <exception cref="MpiException">no supervisor, or the MPI library does not start; the reason is on standard error</exception>
    public static void Start(bool multiple)
    {
        if (World != LibraryState.None) throw new MpiException(ErrorClass.Other, "MPI has been initialised already");
        Run(multiple);
        World = LibraryState.Running;
    }

    private static void Run(bool multiple)
    {
        if (Library.State == LibraryState.Finalized) throw new MpiException(ErrorClass.Other, "MPI_Finalize has been called, and no session was open then: a launcher's slot is one MPI process");
        if (Library.State == LibraryState.None)
        {
            (int rank, int size, int fd) = Connect();
            Begin(MpiSegment.Map(fd, size, dontFork: true), rank, size);
            Library.IsMultiple = multiple;
        }
        else if (multiple) Library.BecomeMultiple();
    }

    /// <summary>MPI_Session_init.</summary>
    public static void BeginSession(bool multiple)
    {
        Run(multiple);
        s_sessions++;
        if (s_endsAtExit) return;
        s_endsAtExit = true;
        Sys.AtExit(&AtExit);
    }

    /// <summary>MPI_Session_finalize. Where MPI_Finalize was called before, this ends the library; else another session may follow, and it ends with the program.</summary>
    public static void EndSession()
    {
        s_sessions--;
        StopWhereUnused();
    }

    private static void StopWhereUnused()
    {
        if (s_sessions == 0 && World == LibraryState.Finalized) Stop();
    }

    /// <summary>A program of sessions alone ends: the launcher has to hear that MPI has ended before. All ranks are waited for, as in MPI_Finalize.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(System.Runtime.CompilerServices.CallConvCdecl)])]
    private static void AtExit(void* nothing)
    {
        if (Library.State != LibraryState.Running || World != LibraryState.None || s_sessions > 0) return;
        Library.Enter("MPI_Session_finalize");
        try { Stop(); }
        finally { Library.Leave(); }
    }

    /// <summary>The segment is there, and a delegator behind it.</summary>
    public static void Begin(MpiSegment segment, int rank, int size)
    {
        if (segment.Header->Magic != MpiSegmentLayout.Magic || segment.Header->Version != MpiSegmentLayout.ProtocolVersion) throw new MpiException(ErrorClass.Other, "the MPI delegator speaks another version");
        (Rankings.World, Rankings.Size) = (rank, size);
        Transport.Start(segment);
        Define();
        Library.State = LibraryState.Running;
    }

    private static (int Rank, int Size, int Fd) Connect()
    {
        byte* path = Sys.GetEnvironment("TRECR_SESSION\0"u8);
        if (path == null) throw Refuse("TRECR_SESSION is not set: start the program with 'trecr run -- PROGRAM'");
        int connection = -1, fd = -1;
        try
        {
            int made = Sys.MemfdCreate(MpiSegmentLayout.SegmentName);
            fd = Sys.Duplicate(made, 100);
            Sys.Close(made);
            connection = (int)Sys.Check(Sys.ConnectUnix(Marshal.PtrToStringUTF8((nint)path)!), "connect");
            MpiHello hello = new() { Magic = MpiHello.MagicValue, ProtocolVersion = MpiHello.Version, Pid = (int)Sys.RawShort(SyscallNumber.Getpid), SegmentDescriptor = fd };
            Sys.Check(Sys.Send(connection, MemoryMarshal.AsBytes(new ReadOnlySpan<MpiHello>(in hello)), [fd]), "send");
            byte[] answer = new byte[sizeof(MpiWelcome) + MpiWelcome.MaxTextBytes];
            long came = Sys.Check(Sys.Receive(connection, answer, default, out _), "recv");
            if (came < sizeof(MpiWelcome)) throw Refuse("the MPI delegator could not be started");
            MpiWelcome welcome = MemoryMarshal.Read<MpiWelcome>(answer);
            if (welcome.Status != 0) throw Refuse(System.Text.Encoding.UTF8.GetString(answer.AsSpan(sizeof(MpiWelcome), (int)came - sizeof(MpiWelcome))));
            return (welcome.Rank, welcome.Size, fd);
        }
        catch (Exception e)
        {
            Sys.Close(fd);
            if (e is LinuxException linux) throw Refuse(linux.Message);
            throw;
        }
        finally { Sys.Close(connection); }
    }

    private static MpiException Refuse(string why)
    {
        StandardError.Write("trecr: MPI_Init: "u8, why);
        return new MpiException(ErrorClass.Other, why);
    }

    /// <summary>MPI_Finalize.</summary>
    public static void EndWorld()
    {
        if (World != LibraryState.Running) throw new MpiException(ErrorClass.Other, $"MPI_Finalize {(World == LibraryState.None ? "without MPI_Init" : "once more")}");
        Comm.Self.Attributes.DeleteAll(Comm.Self);
        Comm.World.Attributes.DeleteAll(Comm.World);
        World = LibraryState.Finalized;
        StopWhereUnused();
    }

    /// <summary>Nothing is under way any more.</summary>
    private static void Stop()
    {
        Schedule.Run(Comm.World, Algorithms.Barrier);
        Waiting.Until(static _ => !Messages.HasUnsent, 0);
        Ask(MpiCommand.Finalize);
        Library.State = LibraryState.Finalized;
    }

    /// <summary>MPI_Abort: the launcher ends all ranks. Does not return.</summary>
    public static void Abort(int code)
    {
        if (Library.State == LibraryState.Running)
        {
            Transport.Header->AbortCode = code;
            Ask(MpiCommand.Abort);
        }
        Environment.Exit(code);
    }

    private static void Ask(MpiCommand command)
    {
        MpiSegmentHeader* header = Transport.Header;
        Volatile.Write(ref header->Command, (uint)command);
        Interlocked.Increment(ref header->OutSignal);
        Sys.FutexWake(&header->OutSignal);
        const long LongestNs = 10_000_000;
        while (Volatile.Read(ref header->Answered) != (uint)command)
        {
            uint signal = Volatile.Read(ref header->InSignal);
            if (Volatile.Read(ref header->Answered) != (uint)command) Sys.FutexWait(&header->InSignal, signal, LongestNs);
        }
    }

    /// <summary>Seconds of a clock that goes on where it was after a restart.</summary>
    public static double Now => Sys.ClockNs(1) * 1e-9;

}
