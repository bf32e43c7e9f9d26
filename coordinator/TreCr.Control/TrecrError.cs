namespace TreCr.Control;

/// <summary>
/// An error that a user can meet: its number (TRECR-nnnn), the exit code of verbs other than run, and what to do. docs/errors.md explains each;
/// a test compares the two lists.
/// </summary>
/// <param name="Number">stable for ever</param>
/// <param name="ExitCode">of verbs other than <c>run</c> (cli.md); <c>run</c> ends with 125, 126 or 127</param>
/// <param name="WhatToDo">the last part of the line on stderr</param>
/// <param name="RunExitCode">exit code where <c>run</c> fails so</param>
public sealed record TrecrError(int Number, int ExitCode, string WhatToDo, int RunExitCode = 125)
{
    private static readonly Dictionary<int, TrecrError> s_all = [];

    private static TrecrError Add(int number, int exitCode, string whatToDo, int runExitCode = 125)
    {
        TrecrError error = new(number, exitCode, whatToDo, runExitCode);
        s_all.Add(number, error);
        return error;
    }

    /// <summary>All errors by number.</summary>
    public static IReadOnlyDictionary<int, TrecrError> All => s_all;

    /// <summary>The error of this number; <see cref="Internal"/> where there is none.</summary>
    public static TrecrError FromNumber(int number) => s_all.GetValueOrDefault(number, Internal);

    // General.
    public static readonly TrecrError Usage = Add(1, 2, "see `trecr --help`");
    public static readonly TrecrError NotYet = Add(2, 2, "`trecr --help` lists what this version can do");
    public static readonly TrecrError Internal = Add(3, 1, "this is a defect of TreCr: please report it with this line");
    public static readonly TrecrError System = Add(4, 1, "see `trecr doctor`");
    public static readonly TrecrError RuntimeDirectory = Add(5, 1, "remove the directory or set XDG_RUNTIME_DIR to one of your own with mode 0700");
    public static readonly TrecrError Coordinator = Add(6, 1, "look into coordinator.log in the runtime directory (`trecr doctor` names it)");
    public static readonly TrecrError Installation = Add(7, 1, "set TRECR_HOME to the directory that holds trecr, trecr-init, lib and delegator");
    public static readonly TrecrError WireVersion = Add(8, 9, "wait until the jobs of the other version have ended, or use that version's trecr");
    public static readonly TrecrError PolicyBad = Add(9, 2, "correct the policy (docs/tiers.md)");
    public static readonly TrecrError HostKey = Add(10, 7, "make it a file of yours with mode 0600, or remove it: a new one is made (docs/hosts.md)");
    public static readonly TrecrError HostUnreachable = Add(11, 1, "see docs/hosts.md: the store must be the same directory on all hosts, or TRECR_COORDINATOR name the coordinator");

    // Starting a program.
    public static readonly TrecrError NoSuchProgram = Add(101, 3, "check the name and PATH", 127);
    public static readonly TrecrError NotExecutable = Add(102, 1, "give an executable file", 126);
    public static readonly TrecrError RunInsideRun = Add(103, 7, "the program is already run by trecr: start it without a second `trecr run`");
    public static readonly TrecrError JobNameBad = Add(104, 2, "use 1 to 64 letters, digits, - and _");
    public static readonly TrecrError JobNameTaken = Add(105, 4, "choose another --job, or stop that job");
    public static readonly TrecrError NoNamespaces = Add(106, 1, "`trecr doctor` says which setting forbids them and how to allow them");
    public static readonly TrecrError CannotStart = Add(107, 1, "see `trecr doctor`");
    public static readonly TrecrError DelegatorLost = Add(108, 1, "restart from the last checkpoint: `trecr restart JOB`");
    public static readonly TrecrError DelegatorStart = Add(109, 1, "`trecr doctor` says what is missing");
    public static readonly TrecrError SupervisorFailed = Add(110, 1, "restart from the last checkpoint: `trecr restart JOB`");
    public static readonly TrecrError LaunchUnclear = Add(111, 2, "start all ranks with one mpirun or srun, which sets these variables, or unset them");

    // Taking a checkpoint.
    public static readonly TrecrError NoSuchJob = Add(201, 3, "`trecr status` lists running jobs");
    public static readonly TrecrError CheckpointBusy = Add(202, 4, "wait until the other checkpoint is done");
    public static readonly TrecrError CheckpointRefused = Add(203, 7, "close what is named, or run `trecr check JOB` to see all findings; the program runs on");
    public static readonly TrecrError Deadline = Add(204, 10, "try again, or with a longer --deadline; the program runs on and the previous checkpoint is valid");
    public static readonly TrecrError CheckpointFailed = Add(205, 1, "try again; the program runs on and the previous checkpoint is valid");
    public static readonly TrecrError EngineLost = Add(206, 1, "try again; the program runs on and the previous checkpoint is valid");
    public static readonly TrecrError JobEnded = Add(207, 3, "nothing to do where the program had ended; else `trecr restart JOB`");
    public static readonly TrecrError CoordinatorLost = Add(208, 1, "look with `trecr list` whether the checkpoint exists, then try again; the program runs on");
    public static readonly TrecrError HookFailed = Add(209, 1, "look at what the hook has printed; the program runs on");
    public static readonly TrecrError ProcessKilled = Add(210, 1, "try again; the program runs on and the previous checkpoint is valid");
    public static readonly TrecrError RanksMissing = Add(211, 4, "try again when all ranks have started; a rank that died ends its job: `trecr restart JOB`");
    public static readonly TrecrError Launched = Add(212, 7, "stop it and start it again from the checkpoint");
    public static readonly TrecrError NoJournal = Add(213, 3, "`trecr events` shows which jobs have one");

    // Restarting.
    public static readonly TrecrError NoSuchCheckpoint = Add(301, 3, "`trecr list` shows what there is; --store or TRECR_STORE names another store");
    public static readonly TrecrError StillRunning = Add(302, 4, "stop it first: `trecr stop JOB`");
    public static readonly TrecrError OtherUser = Add(303, 7, "let that user restart it, or give --trust if you trust its contents");
    public static readonly TrecrError OtherMachine = Add(304, 8, "restart it on a machine as named");
    public static readonly TrecrError WrongDevice = Add(305, 8, "restart it where such a device is; the checkpoint is unchanged");
    public static readonly TrecrError RestoreFailed = Add(306, 1, "try an earlier checkpoint (`trecr list`); the image is unchanged");
    public static readonly TrecrError RestoreRefused = Add(307, 7, "make what is named available again");
    public static readonly TrecrError BadImage = Add(308, 5, "try an earlier checkpoint (`trecr list`)");
    public static readonly TrecrError WrongRanks = Add(309, 7, "start as many ranks as it was saved with: `mpirun -n N trecr restart JOB`");
    public static readonly TrecrError LauncherUnknown = Add(310, 7, "start it with `mpirun -n N trecr restart JOB`, or give --launcher \"mpirun -n N\"");
    public static readonly TrecrError ProgramsOwn = Add(311, 7, "start the program again: it finds its checkpoint itself");

    // The store.
    public static readonly TrecrError NotAStore = Add(401, 5, "give another --store, or move the directory away");
    public static readonly TrecrError NewerFormat = Add(402, 9, "use the trecr version that wrote it, or a newer one");
    public static readonly TrecrError Damaged = Add(403, 5, "`trecr verify` names what is whole; restart from an earlier checkpoint");
    public static readonly TrecrError NoSpace = Add(404, 6, "free space on the store's file system (`trecr gc`, `trecr du`); the previous checkpoint is valid");
    public static readonly TrecrError StoreNotFound = Add(405, 3, "`trecr list` shows what there is; --store or TRECR_STORE names another store");
    public static readonly TrecrError StoreBusy = Add(406, 4, "try again when the other trecr command is done");
    public static readonly TrecrError StoreOtherOwner = Add(407, 7, "use a store of your own; --trust accepts another user's");
    public static readonly TrecrError StoreIO = Add(408, 1, "check the store's file system; the previous checkpoint is valid");
    public static readonly TrecrError TierBehind = Add(409, 1, "make the tier available again; `trecr flush JOB` goes on where it was");
    public static readonly TrecrError StoreKey = Add(410, 7, "give the key that the store was made with (TRECR_STORE_KEY_FILE; docs/tiers.md, Encryption)");
}
