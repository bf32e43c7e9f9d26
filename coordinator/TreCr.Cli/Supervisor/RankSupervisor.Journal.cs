using System.Text.Json;

namespace TreCr.Cli;

// What the supervisor notes in the job's journal (docs/events.md).
internal sealed partial class RankSupervisor
{
    private void NoteBegin()
    {
        string from;
        lock (_lock) from = _lastCheckpointId;
        _journal?.Note(Job, from.Length > 0 ? "restarted" : "started", j =>
        {
            WriteRank(j);
            if (from.Length > 0) j.WriteString("checkpoint_id", from);
            j.WriteNumber("pid", ProgramHostPid);
            j.WriteStrings("command", Command);
            j.WriteString("directory", WorkingDirectory);
            j.WriteString("store", Store);
            j.WriteString("device", Device);
            j.WriteString("version", VersionVerb.Version);
        });
    }

    private void NoteEnd(int status, bool initLost) => _journal?.Note(Job, "ended", j =>
    {
        WriteRank(j);
        if (StoppedAt.Length > 0) j.WriteString("stopped_with", StoppedAt);
        else if (initLost) j.WriteString("lost", "init");
        else if (ExitStatus.Signal(status) is not 0 and var signal) j.WriteNumber("signal", signal);
        else j.WriteNumber("exit_code", ExitStatus.Code(status));
    });

    private void WriteRank(Utf8JsonWriter json)
    {
        if (!Slot.IsOneOfSeveral) return;
        json.WriteNumber("rank", Slot.Rank);
        json.WriteNumber("ranks", Slot.Size);
    }
}
