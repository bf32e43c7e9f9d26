using TreCr.Control;

namespace TreCr.Coordinator;

/// <summary>A job as the coordinator knows it: nothing here is needed by the job, and all of it comes back when its supervisors register again.</summary>
/// <param name="launch">that its ranks belong to; a job of another launch is another job</param>
internal sealed class CoordinatedJob(string name, string launch)
{
    public string Name => name;
    public string Launch => launch;

    /// <summary>Ranks of the job, registered or not.</summary>
    public uint RankCount { get; set; } = 1;

    /// <summary>Ranks whose programs have ended in order.</summary>
    public SortedDictionary<uint, EndedRank> Ended { get; } = [];

    /// <summary>Ranks that neither run nor have ended in order.</summary>
    public IEnumerable<uint> Missing
    {
        get
        {
            for (uint rank = 0; rank < RankCount; rank++)
                if (!Ranks.ContainsKey(rank) && !Ended.ContainsKey(rank)) yield return rank;
        }
    }

    public SortedDictionary<uint, CoordinatedRank> Ranks { get; } = [];
    public EpochMachine? Epoch { get; set; }
    public ulong LastEpoch { get; set; }
    public bool Stop { get; set; }
    public string CheckpointId { get; set; } = "";

    /// <summary>Who asked for the checkpoint under way.</summary>
    public ControlChannel? Requester { get; set; }
    public ulong RequestId { get; set; }

    /// <summary>What restarts it when it fails; null: nobody asked for that.</summary>
    public JobRecovery? Recovery { get; set; }

    /// <summary>Of the last rank that registered: known also when none is here any more.</summary>
    public string Store { get; set; } = "";

    public ReadOnlyMemory<byte> StoreKey { get; set; }

    /// <summary>Where events are noted; null: nowhere.</summary>
    public JobJournal? Journal { get; set; }

    /// <summary>When the checkpoint under way began, on Environment.TickCount64.</summary>
    public long EpochBeganMs { get; set; }

    /// <summary>In the store, for ranks on other hosts; null: there are none.</summary>
    public CoordinatorNote? Note { get; set; }

    public RegisterRank Facts => Ranks.First().Value.Facts;
}

/// <summary>A registered rank.</summary>
internal sealed record CoordinatedRank(uint Rank, string Host, RegisterRank Facts, ControlChannel Channel);

/// <summary>A question passed on to ranks, answered when all have answered or time is up.</summary>
internal sealed class PassedQuestion(ControlChannel requester, ulong requestId, Answer answer, long deadlineMs)
{
    public ControlChannel Requester => requester;
    public ulong RequestId => requestId;
    public Answer Answer => answer;
    public long DeadlineMs => deadlineMs;
    public Dictionary<ulong, RankEntry> Waiting { get; } = [];
}
