using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TreCr.Linux.Tests;

/// <summary>Numbers and layouts that TreCr.Linux states are those of the system's headers.</summary>
public sealed partial class HeaderTests
{
    [GeneratedRegex("(?<=[a-z0-9])(?=[A-Z])")]
    private static partial Regex WordEnd();

    [Test]
    public void System_call_numbers()
    {
        // The enum names Pread64 what the headers call __NR_pread64.
        Dictionary<string, long> stated = Enum.GetValues<SyscallNumber>().ToDictionary(n => "__NR_" + WordEnd().Replace(n.ToString(), "_").ToLowerInvariant(), n => (long)n);
        Compare(stated, mostUnknown: 3);
    }

    [Test]
    public void Error_numbers() => Compare(Constants(typeof(Errno)), mostUnknown: 0);

    /// <summary>Flags, requests, signals: constants of <see cref="Sys"/> with the headers' names.</summary>
    [Test]
    public void Constants_of_calls() => Compare(Constants(typeof(Sys)), mostUnknown: 12);

    [Test]
    public void Structures_have_the_layout_of_the_headers()
    {
        CheckLayout<UserRegisters>("struct user_regs_struct", name => WordEnd().Replace(name, "_").ToLowerInvariant());
        CheckLayout<PollEntry>("struct pollfd", name => name == "Returned" ? "revents" : name.ToLowerInvariant());
        CheckLayout<IoVector>("struct iovec", name => name == "Base" ? "iov_base" : "iov_len");
        CheckLayout<TimeSpec>("struct timespec", name => name.StartsWith("Sec") ? "tv_sec" : "tv_nsec");
    }

    /// <summary>What the wrappers read out of buffers by number.</summary>
    [Test]
    public void Buffers_that_are_read_by_offset()
    {
        Dictionary<string, long> c = Headers.Values([("stat", "sizeof(struct stat)"), ("st_mode", "offsetof(struct stat, st_mode)"), ("st_uid", "offsetof(struct stat, st_uid)"), ("st_size", "offsetof(struct stat, st_size)"),
            ("statfs", "sizeof(struct statfs)"), ("f_bsize", "offsetof(struct statfs, f_bsize)"), ("f_bavail", "offsetof(struct statfs, f_bavail)")]);
        Assert.That(c, Is.EquivalentTo(new Dictionary<string, long> { ["stat"] = 144, ["st_mode"] = 24, ["st_uid"] = 28, ["st_size"] = 48, ["statfs"] = 120, ["f_bsize"] = 8, ["f_bavail"] = 32 }));
    }

    private static Dictionary<string, long> Constants(Type type) => type.GetFields(BindingFlags.Public | BindingFlags.Static)
        .Where(f => f.IsLiteral && f.Name.All(c => char.IsAsciiLetterUpper(c) || char.IsAsciiDigit(c) || c == '_'))
        .ToDictionary(f => f.Name, f => Convert.ToInt64(f.GetRawConstantValue()));

    /// <param name="mostUnknown">the headers may be older than a few names</param>
    private static void Compare(Dictionary<string, long> stated, int mostUnknown)
    {
        Dictionary<string, long> c = Headers.Values(stated.Keys.Select(n => (n, n)));
        string[] unknown = [.. stated.Keys.Except(c.Keys)];
        Assert.That(stated, Is.Not.Empty);
        Assert.That(unknown.Length, Is.LessThanOrEqualTo(mostUnknown), string.Join(' ', unknown));
        Assert.That(stated.Where(s => c.TryGetValue(s.Key, out long v) && v != s.Value).Select(s => $"{s.Key} is {c[s.Key]}, not {s.Value}"), Is.Empty);
    }

    private static void CheckLayout<T>(string name, Func<string, string> member) where T : unmanaged
    {
        FieldInfo[] fields = typeof(T).GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance);
        Dictionary<string, long> stated = fields.ToDictionary(f => member(f.Name), f => (long)Marshal.OffsetOf<T>(f.Name));
        stated["size"] = Marshal.SizeOf<T>();
        Dictionary<string, long> c = Headers.Values([.. fields.Select(f => (member(f.Name), $"offsetof({name}, {member(f.Name)})")), ("size", $"sizeof({name})")]);
        Assert.That(stated, Is.EquivalentTo(c), name);
    }
}
