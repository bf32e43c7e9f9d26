using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Cuda;

namespace TreCr.Wrapper.Nccl;

/// <summary>Making, asking and ending communicators. NCCL documentation, "Communicator Creation and Management Functions".</summary>
[LocalExports(typeof(NcclRuntime), "p")]
internal static unsafe class CommunicatorCalls
{
    /// <summary>What ncclGetVersion says: 2.27.3, the newest whose functions are all here.</summary>
    private const int Version = 22703;

    /// <summary>Most members; the device's limit.</summary>
    private const int MostRanks = 1024;

    public static void ncclGetVersion(int* version)
    {
        NcclRuntime.Require(version != null, "version is NULL");
        *version = Version;
    }

    public static void ncclGetUniqueId(UniqueId* id)
    {
        NcclRuntime.Require(id != null, "the unique id is NULL");
        UInt128 token = Tokens.New();
        *id = new UniqueId { Magic = UniqueId.ThisMagic, TokenLow = (ulong)token, TokenHigh = (ulong)(token >> 64), Host = ThisHost };
    }

    // The id comes by value: 128 bytes on the stack, while the arguments around it are in registers. A parameter of that size ends the process where it is the first call into the library (NativeAOT 9.0: abort in the
    // method's own entry), so the registers that are left over and the first words on the stack are named one by one.
    public static void ncclCommInitRank(nint* result, int size, int rank, ulong rcx, ulong r8, ulong r9, ulong magic, ulong tokenLow, ulong tokenHigh, ulong host)
        => Init(result, size, [new UniqueId { Magic = magic, TokenLow = tokenLow, TokenHigh = tokenHigh, Host = host }], rank, null);

    public static void ncclCommInitRankConfig(nint* result, int size, int rank, Config* config, ulong r8, ulong r9, ulong magic, ulong tokenLow, ulong tokenHigh, ulong host)
        => Init(result, size, [new UniqueId { Magic = magic, TokenLow = tokenLow, TokenHigh = tokenHigh, Host = host }], rank, config);

    /// <summary>Several ids spread the work of a real rendezvous; here they name one together.</summary>
    public static void ncclCommInitRankScalable(nint* result, int size, int rank, int count, UniqueId* ids, Config* config)
    {
        NcclRuntime.Require(count > 0 && count <= MostRanks && ids != null, $"{count} unique ids");
        Init(result, size, new ReadOnlySpan<UniqueId>(ids, count), rank, config);
    }

    private static void Init(nint* result, int size, ReadOnlySpan<UniqueId> ids, int rank, Config* config)
    {
        NcclRuntime.Require(result != null, "the communicator's place is NULL");
        *result = 0;
        NcclRuntime.Require(size is > 0 and <= MostRanks && (uint)rank < (uint)size, $"rank {rank} of {size}");
        UInt128 token = ids[0].Token;
        foreach (UniqueId id in ids) NcclRuntime.Require(id.Magic == UniqueId.ThisMagic, "the unique id was not made by ncclGetUniqueId");
        foreach (UniqueId id in ids)
            if (id.Host != ThisHost) throw new NcclException(NcclResult.InvalidUsage, "the unique id was made on another host: communicators of several hosts are not supported by this version");
        for (int n = 1; n < ids.Length; n++) token = Tokens.Child(token, (uint)n, (uint)ids[n].TokenLow, (uint)ids[n].TokenHigh);
        bool isBlocking = IsBlocking(config, otherwise: true);
        ulong context = NcclRuntime.CurrentContext;
        Tokens.Use(token, (uint)rank);
        Begin(new Communicator(token, (uint)rank, (uint)size, context, isBlocking), result);
    }

    /// <summary>Which host this is, and since when it is up (FNV-1a); 0 is none.</summary>
    private static ulong ThisHost
    {
        get
        {
            if (field != 0) return field;
            ulong hash = 14695981039346656037;
            foreach (char c in $"{Environment.MachineName} {File.ReadAllText("/proc/sys/kernel/random/boot_id")}") hash = (hash ^ c) * 1099511628211;
            return field = hash | 1;
        }
    }

    /// <summary>Joins, and waits for the others where the communicator blocks.</summary>
    private static void Begin(Communicator made, nint* result)
    {
        made.Pending = new Joining(made);
        *result = made.Handle;
        try
        {
            made.Join();
            Groups.Await(made.Pending, made.IsBlocking);
        }
        catch (NcclException e) when (e.Result != NcclResult.InProgress)
        {
            End(made, aborts: true);
            *result = 0;
            throw;
        }
    }

    /// <param name="otherwise">where the program does not say</param>
    private static bool IsBlocking(Config* config, bool otherwise)
    {
        if (config == null) return otherwise;
        NcclRuntime.Require(config->Magic == Config.ThisMagic && config->Size >= (nuint)sizeof(Config), "the configuration was not initialised with NCCL_CONFIG_INITIALIZER");
        NcclRuntime.Require(config->Blocking is Config.Undefined or 0 or 1, $"blocking = {config->Blocking}");
        return config->Blocking == Config.Undefined ? otherwise : config->Blocking != 0;
    }

    public static void ncclCommInitAll(nint* result, int count, int* devices)
    {
        NcclRuntime.Require(result != null && count > 0, $"{count} devices");
        _ = NcclRuntime.Thread;
        HashSet<int> seen = [];
        for (int n = 0; n < count; n++)
        {
            int device = devices == null ? n : devices[n];
            NcclRuntime.Require(device >= 0 && device < Devices.Count, $"there is no device {device}");
            if (!seen.Add(device)) throw new NcclException(NcclResult.InvalidUsage, $"device {device} is there twice");
        }
        UInt128 token = Tokens.New();
        Groups.Start();
        for (int n = 0; n < count; n++) Begin(new Communicator(token, (uint)n, (uint)count, NcclRuntime.PrimaryContext(devices == null ? n : devices[n]), isBlocking: true), result + n);
        Groups.End();
    }

    public static void ncclCommSplit(Communicator communicator, int color, int key, nint* result, Config* config)
    {
        NcclRuntime.Require(result != null, "the communicator's place is NULL");
        *result = 0;
        NcclRuntime.Require(color is Splitting.NoColor or >= 0, $"color {color}");
        communicator.MustBeUsable();
        bool isBlocking = IsBlocking(config, communicator.IsBlocking);
        // Of one that does not block, the program asks the parent how far it is.
        Splitting splitting = new(communicator, color, key, isBlocking, result);
        if (!isBlocking) communicator.Pending = splitting;
        Groups.Await(splitting, isBlocking);
    }

    public static void ncclCommShrink(Communicator communicator, int* excluded, int count, nint* result, Config* config, int flags)
    {
        const int abort = 1;
        NcclRuntime.Require(result != null, "the communicator's place is NULL");
        *result = 0;
        NcclRuntime.Require(excluded != null && count > 0 && count < communicator.Size && (flags & ~abort) == 0, $"{count} ranks to leave out, flags {flags}");
        HashSet<uint> without = [];
        for (int n = 0; n < count; n++) NcclRuntime.Require((uint)excluded[n] < communicator.Size && excluded[n] != communicator.Rank && without.Add((uint)excluded[n]), $"rank {excluded[n]} cannot be left out");
        // After an error of another member this is how the rest goes on.
        if ((flags & abort) == 0) communicator.MustBeUsable();
        else Abort(communicator);
        uint[] left = [.. without.Order()];
        uint rank = communicator.Rank - (uint)left.Count(n => n < communicator.Rank);
        UInt128 token = Tokens.Child(communicator.Token, ++communicator.Children, [.. left, uint.MaxValue]);
        Begin(new Communicator(token, rank, communicator.Size - (uint)count, communicator.Context, IsBlocking(config, communicator.IsBlocking)), result);
    }

    public static void ncclCommFinalize(Communicator communicator)
    {
        communicator.MustBeUsable();
        AwaitWork(communicator);
        communicator.IsFinalized = true;
    }

    public static void ncclCommDestroy(Communicator communicator)
    {
        AwaitWork(communicator);
        End(communicator, aborts: false);
    }

    public static void ncclCommAbort(Communicator communicator) => End(communicator, aborts: true);

    private static void AwaitWork(Communicator communicator)
    {
        const int LongestSleepNs = 5_000_000;
        if (communicator.Pending is not null) return;
        for (long sleep = 20_000; communicator.State is { Outstanding: > 0, Error: 0 }; sleep = Math.Min(2 * sleep, LongestSleepNs)) Sys.SleepNs(sleep);
    }

    private static void Abort(Communicator communicator)
    {
        using Communicator.Scope scope = communicator.Enter();
        CudaCollectiveCalls.Send_trecrCommAbort(scope.Thread, communicator.Member);
    }

    /// <summary>Whatever has happened to the device, the program is rid of it.</summary>
    private static void End(Communicator communicator, bool aborts)
    {
        if (communicator.Member.Value != 0)
        {
            if (aborts) Abort(communicator);
            using Communicator.Scope scope = communicator.Enter();
            CudaCollectiveCalls.Send_trecrCommLeave(scope.Thread, communicator.Member);
        }
        communicator.Forget();
    }

    public static byte* ncclGetErrorString(NcclResult result) => NcclRuntime.Text(result switch
    {
        NcclResult.Success => "no error",
        NcclResult.UnhandledCudaError => "unhandled cuda error (run with NCCL_DEBUG=INFO for details)",
        NcclResult.SystemError => "unhandled system error (run with NCCL_DEBUG=INFO for details)",
        NcclResult.InternalError => "internal error",
        NcclResult.InvalidArgument => "invalid argument (run with NCCL_DEBUG=WARN for details)",
        NcclResult.InvalidUsage => "invalid usage (run with NCCL_DEBUG=WARN for details)",
        NcclResult.RemoteError => "remote process exited or there was a network error",
        NcclResult.InProgress => "NCCL operation in progress",
        _ => "unknown result code",
    });

    public static byte* ncclGetLastError(nint communicator) => NcclRuntime.LastError;

    /// <summary>There is no log of NCCL's to be reset.</summary>
    public static void ncclResetDebugInit()
    {
    }

    public static void ncclCommGetAsyncError(Communicator communicator, NcclResult* error)
    {
        NcclRuntime.Require(error != null, "the error's place is NULL");
        if (communicator.Pending is { } pending)
        {
            if (pending.Step()) communicator.Pending = null;
            *error = communicator.Pending is null ? NcclResult.Success : NcclResult.InProgress;
            return;
        }
        *error = (NcclResult)communicator.State.Error;
    }

    public static void ncclCommCount(Communicator communicator, int* count)
    {
        NcclRuntime.Require(count != null, "the count's place is NULL");
        *count = (int)communicator.Size;
    }

    public static void ncclCommCuDevice(Communicator communicator, int* device)
    {
        NcclRuntime.Require(device != null, "the device's place is NULL");
        *device = communicator.Device;
    }

    public static void ncclCommUserRank(Communicator communicator, int* rank)
    {
        NcclRuntime.Require(rank != null, "the rank's place is NULL");
        *rank = (int)communicator.Rank;
    }
}
