using System.Runtime.CompilerServices;
using TreCr.Calls.Cuda;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Replay;

namespace TreCr.Delegator;

// From a GPU to the software device: what the program is told (--portable), which modules could not go there, and what a restore on the other kind of device does differently.
internal sealed unsafe partial class Session
{
    private readonly ConditionalWeakTable<LoggedCall, ModulePtx> _modulePtx = [];

    /// <summary>Names that are told of modules that lack PTX.</summary>
    private const int ToldModules = 4;

    /// <summary>The image that is being restored was taken on a GPU, and this is the software device.</summary>
    private bool _moved;

    /// <summary>The program is told of <see cref="PortableDevice"/>. Of a session, from its program's start to its end, restarts among it.</summary>
    public bool IsPortable { get; private init; }

    private IEnumerable<ModulePtx> LiveModules() => _log.Snapshot().Where(c => c.Call == CallIds.ModuleLoad).Select(c => _modulePtx.GetValue(c, Look));

    private ModulePtx Look(LoggedCall load) => ModulePtx.Of(load, onGpu: DeviceKind == "cuda" || _moved);

    /// <summary>Modules that the program has and that keep its checkpoints from going to the software device: how many, and the first of them by name.</summary>
    public (int Count, string[] Names) GpuOnly()
    {
        string[] all = [.. LiveModules().Select(Stays).OfType<string>()];
        return (all.Length, [.. all.Take(ToldModules)]);
    }

    /// <summary>Why a module cannot go from a GPU to the software device; null: it can.</summary>
    private static string? Stays(ModulePtx module) => module switch
    {
        { Lacks: { } lacks } => $"{module.Name} has no PTX for the software device: {lacks}",
        { Variable: { } variable } => $"{module.Name} has the variable {variable}, whose contents on a GPU are not saved",
        _ => null,
    };

    /// <summary>Which devices an image may come from, and what of it cannot be on this one.</summary>
    /// <exception cref="WrongDeviceException">named</exception>
    private void CheckKind(SessionRecord saved, List<LoggedCall> calls)
    {
        if (saved.DeviceKind == DeviceKind) return;
        string name = saved.Devices.Count > 0 ? saved.Devices[0].Name : "";
        if (saved.DeviceKind != "cuda") throw new WrongDeviceException($"its device was {saved.DeviceKind} ({name}), here is {DeviceKind}");
        _moved = true;
        foreach (LoggedCall call in calls)
            if (call.Call == CallIds.ModuleLoad && Stays(Look(call)) is { } reason) throw new WrongDeviceException($"it is for GPUs only ({name}): {reason}");
    }

    /// <summary>What a function is told of on another kind of device: only where its parameters lie must be as it was. The log has the new answer from then on.</summary>
    private void CompareMoved(LoggedCall call, ReadOnlySpan<byte> answer)
    {
        bool same = call.Call == CallIds.ModuleGetFunction ? SameParameters(call.Answer, answer) : answer.SequenceEqual(call.Answer);
        if (same) call.Answer = answer.ToArray();
        else _replayError ??= $"{NameOf(call.Call)} answers {Convert.ToHexStringLower(answer)} on this device, not {Convert.ToHexStringLower(call.Answer)} as on the GPU";
    }

    private static bool SameParameters(ReadOnlySpan<byte> before, ReadOnlySpan<byte> now)
    {
        const int Facts = 8; // behind the handle
        if (before.Length != now.Length || before.Length < Facts + sizeof(FunctionFacts)) return false;
        fixed (byte* b = before, n = now)
        {
            FunctionFacts* one = (FunctionFacts*)(b + Facts), other = (FunctionFacts*)(n + Facts);
            return one->ParameterCount == other->ParameterCount && one->ParameterBlockBytes == other->ParameterBlockBytes
                && new ReadOnlySpan<uint>(one->Parameters, FunctionFacts.MaxParameters).SequenceEqual(new ReadOnlySpan<uint>(other->Parameters, FunctionFacts.MaxParameters));
        }
    }
}
