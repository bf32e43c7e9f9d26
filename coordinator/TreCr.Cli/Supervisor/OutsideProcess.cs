using TreCr.Control;
using TreCr.Linux;

namespace TreCr.Cli;

/// <summary>Starts processes of the supervisor that stand outside of the job's namespace, each in a session of its own.</summary>
internal static class OutsideProcess
{
    /// <param name="descriptors">become 3, 4, … there; they stay the caller's here</param>
    /// <param name="personality">of personality(2)</param><param name="targets">other numbers for them, ascending but for the first; none is below 3</param>
    /// <exception cref="TrecrException">it could not be started</exception>
    public static CloneResult Start(string path, IReadOnlyList<string> words, IReadOnlyList<string> environment, ReadOnlySpan<int> descriptors, TrecrError error, int personality = 0, int[]? targets = null)
    {
        const int Above = 64; // of the numbers given out below
        List<int> ours = [];
        try
        {
            int nothing = Sys.Open("/dev/null", Sys.O_RDWR | Sys.O_CLOEXEC), idle = Sys.Duplicate(nothing, Above), standardError = Sys.Duplicate(2, Above);
            ours.AddRange([nothing, idle, standardError]);
            using CloneTable table = new();
            table.Add("dup3", SyscallNumber.Dup3, idle, 0, 0);
            table.Add("dup3", SyscallNumber.Dup3, standardError, 1, 0);
            table.Add("dup3", SyscallNumber.Dup3, standardError, 2, 0);
            for (int i = 0; i < descriptors.Length; i++)
            {
                ours.Add(Sys.Duplicate(descriptors[i], Above));
                table.Add("dup3", SyscallNumber.Dup3, ours[^1], targets?[i] ?? 3 + i, 0);
            }
            int next = 3;
            foreach (int number in targets?.Order() ?? Enumerable.Range(3, descriptors.Length))
            {
                if (number > next) table.Add("close_range", SyscallNumber.CloseRange, next, number - 1, 0);
                next = number + 1;
            }
            table.Add("close_range", SyscallNumber.CloseRange, next, uint.MaxValue, 0);
            table.Add("setsid", SyscallNumber.Setsid);
            if (personality != 0) table.AddOptional("personality", SyscallNumber.Personality, personality);
            table.AddDefaultSignals();
            table.AddExecute(path, [.. words], [.. environment]);
            CloneResult result = table.Run();
            return result.Succeeded ? result : throw new TrecrException(error, $"cannot start {path}: {result.FailedStep}: {Errno.Describe(result.ErrorNumber)}");
        }
        finally
        {
            foreach (int fd in ours) Sys.Close(fd);
        }
    }
}
