using System.Diagnostics.CodeAnalysis;

namespace TreCr.Delegator;

/// <summary>Command line of the delegator.</summary>
/// <param name="Device">auto, soft or cuda</param>
/// <param name="Store">directory of the snapshot store</param>
/// <param name="MemoryBytes">for copies that are not stored yet; 0: by what is free</param>
/// <param name="Portable">the program is told of a device that the software device can stand for</param>
/// <param name="Meetings">this user's directory in which communicators meet; null: there are none</param>
internal sealed record Options(int ControlDescriptor, string Device, string Store, string Job, int Rank, long MemoryBytes = 0, bool Portable = false, string? Meetings = null)
{
    public static bool TryParse(string[] arguments, [NotNullWhen(true)] out Options? options, out string? problem)
    {
        Options parsed = new(-1, "auto", "", "", 0);
        options = null;
        problem = null;
        for (int i = 0; i < arguments.Length; i += 2)
        {
            if (i + 1 == arguments.Length)
            {
                problem = $"{arguments[i]} without a value";
                return false;
            }
            string value = arguments[i + 1];
            switch (arguments[i])
            {
                case "--control-fd" when int.TryParse(value, out int fd) && fd >= 0: parsed = parsed with { ControlDescriptor = fd }; break;
                case "--device" when value is "auto" or "soft" or "cuda": parsed = parsed with { Device = value }; break;
                case "--store": parsed = parsed with { Store = value }; break;
                case "--job": parsed = parsed with { Job = value }; break;
                case "--rank" when int.TryParse(value, out int rank) && rank >= 0: parsed = parsed with { Rank = rank }; break;
                case "--meetings": parsed = parsed with { Meetings = value }; break;
                case "--max-extra-memory" when long.TryParse(value, out long bytes) && bytes > 0: parsed = parsed with { MemoryBytes = bytes }; break;
                case "--portable" when value is "0" or "1": parsed = parsed with { Portable = value == "1" }; break;
                default: problem = $"{arguments[i]} {value} is not understood"; return false;
            }
        }
        if (parsed.ControlDescriptor < 0 || parsed.Store.Length == 0 || parsed.Job.Length == 0)
        {
            problem = "--control-fd, --store and --job are needed";
            return false;
        }
        options = parsed;
        return true;
    }
}
