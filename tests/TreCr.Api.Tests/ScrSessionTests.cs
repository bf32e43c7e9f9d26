using System.Collections.Concurrent;
using NUnit.Framework;
using TreCr.Api.Scr;

namespace TreCr.Api.Tests;

/// <summary>SCR's sessions with ranks that are threads, on nodes that are directories: what comes back when which of them are lost.</summary>
public sealed class ScrSessionTests
{
    private const int Seed = 20261123;

    private Place _place = null!;
    private ConcurrentQueue<string> _said = null!;

    [SetUp]
    public void Enter()
    {
        _place = new Place();
        _said = new();
    }

    [TearDown]
    public void Leave() => _place.Dispose();

    /// <summary>Every scheme over random numbers of nodes, ranks, files and losses: what the scheme survives comes back byte for byte, what it does not is refused.</summary>
    [Test]
    public void LostNodes_ComeBackAsFarAsTheSchemeCarries([Values("SINGLE", "PARTNER", "XOR", "RS")] string type)
    {
        Random random = new(Seed + type.Length);
        for (int round = 0; round < 6; round++)
        {
            int nodes = random.Next(2, 6), perNode = random.Next(1, 3), failures = random.Next(1, nodes), ranks = nodes * perNode;
            string[] settings = [$"SCR_COPY_TYPE={type}", "SCR_CACHE_SIZE=2", "SCR_FLUSH=0", $"SCR_SET_FAILURES={failures}", $"SCR_SET_SIZE={random.Next(2, 9)}"];
            int seed = random.Next();
            ThreadGroup.Run(ranks, g => Run(g, nodes, settings, s =>
            {
                Take(s, "one", g.Rank, seed);
                return Take(s, "two", g.Rank, seed + 1);
            }));
            int lose = random.Next(1, nodes);
            int[] lost = [.. Enumerable.Range(0, nodes).OrderBy(_ => random.Next()).Take(lose)];
            foreach (int node in lost) Directory.Delete($"{_place.Root}/cache/node.n{node}", recursive: true);
            string what = $"{type}, {nodes} nodes of {perNode}, {string.Join(' ', settings[3..])}, lost {string.Join(' ', lost)}\n{string.Join('\n', _said)}";
            // What the sets can carry follows from their definition, not from the code that repairs.
            bool carried = RedundancySets.Form([.. Enumerable.Range(0, ranks).Select(r => $"n{r / perNode}")], int.Parse(settings[4].Split('=')[1])).All(set =>
            {
                bool[] gone = [.. set.Select(r => lost.Contains(r / perNode))];
                int count = gone.Count(g => g);
                return type switch
                {
                    "XOR" => count <= 1,
                    "RS" => count <= Math.Min(failures, set.Length - 1),
                    "PARTNER" => !Enumerable.Range(0, gone.Length).Any(i => gone[i] && gone[(i + 1) % gone.Length]),
                    _ => count == 0,
                };
            });
            string?[] found = ThreadGroup.Run(ranks, g => Run(g, nodes, settings, s => Back(s, g.Rank, name => name == "two" ? seed + 1 : seed)));
            Assert.That(found, Is.All.EqualTo(carried ? "two" : null), what);
            Assert.That(_said.Any(l => l.Contains("computed from")), Is.EqualTo(carried), what);
            _place.Clear();
            _said.Clear();
        }
    }

    /// <summary>Files that changed or went behind SCR's back are computed like those of a lost node.</summary>
    [Test]
    public void DamagedFiles_AreComputed()
    {
        string[] settings = ["SCR_FLUSH=0"];
        ThreadGroup.Run(3, g => Run(g, 3, settings, s => Take(s, "one", g.Rank, 1)));
        string file = Directory.GetFiles($"{_place.Root}/cache/node.n1", "rank_1.0", SearchOption.AllDirectories).Single();
        byte[] bytes = File.ReadAllBytes(file);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(file, bytes);
        Assert.That(ThreadGroup.Run(3, g => Run(g, 3, settings, s => Back(s, g.Rank, _ => 1))), Is.All.EqualTo("one"));
        Assert.That(_said, Has.Some.Contains("rank 1 computed from XOR"));
    }

    /// <summary>A rank that runs on another node than before has its files there, and new partners.</summary>
    [Test]
    public void RanksThatMove_TakeTheirFilesAlong_AndAreProtectedAnew()
    {
        string[] settings = ["SCR_FLUSH=0", "SCR_COPY_TYPE=RS", "SCR_SET_FAILURES=2"];
        ThreadGroup.Run(4, g => Run(g, 4, settings, s => Take(s, "one", g.Rank, 5)));
        Assert.That(ThreadGroup.Run(4, g => Run(g, 4, settings, s => Back(s, g.Rank, _ => 5), nodeOf: r => 3 - r)), Is.All.EqualTo("one"));
        // Two of the four nodes are gone, and there are two ranks on a node: its loss would be that of two members of the old set.
        Assert.That(ThreadGroup.Run(4, g => Run(g, 2, settings, s => Back(s, g.Rank, _ => 5))), Is.All.EqualTo("one"));
        Directory.Delete($"{_place.Root}/cache/node.n0", recursive: true);
        Assert.That(ThreadGroup.Run(4, g => Run(g, 2, settings, s => Back(s, g.Rank, _ => 5))), Is.All.EqualTo("one"));
    }

    /// <summary>Without a second node there is no redundancy, which is said; a flushed checkpoint comes from the prefix directory after the loss of everything else.</summary>
    [Test]
    public void WhatIsFlushed_ComesFromThePrefixDirectory([Values("0", "1")] string background)
    {
        string[] settings = ["SCR_FLUSH=2", $"SCR_FLUSH_ASYNC={background}", "SCR_CACHE_SIZE=3"];
        ThreadGroup.Run(2, g => Run(g, 1, settings, s =>
        {
            Take(s, "one", g.Rank, 1);
            Take(s, "two", g.Rank, 2);
            return Take(s, "three", g.Rank, 3);
        }, close: false));
        Assert.That(_said, Has.Some.Contains("asked for XOR").And.Some.Contains("no redundancy for 2 of 2 ranks (1 node)"));
        Directory.Delete($"{_place.Root}/cache", recursive: true);
        Assert.That(ThreadGroup.Run(2, g => Run(g, 1, settings, s => Back(s, g.Rank, name => name == "two" ? 2 : -1))), Is.All.EqualTo("two"));
        Assert.That(File.Exists($"{_place.Root}/prefix/two/rank_1.0"));
    }

    /// <summary>A flushed checkpoint whose file was damaged is passed over for the one before.</summary>
    [Test]
    public void ADamagedFlush_IsPassedOver()
    {
        string[] settings = ["SCR_FLUSH=1"];
        ThreadGroup.Run(2, g => Run(g, 2, settings, s =>
        {
            Take(s, "one", g.Rank, 1);
            return Take(s, "two", g.Rank, 2);
        }));
        Directory.Delete($"{_place.Root}/cache", recursive: true);
        File.AppendAllText($"{_place.Root}/prefix/two/rank_1.1", "more");
        Assert.That(ThreadGroup.Run(2, g => Run(g, 2, settings, s => Back(s, g.Rank, name => name == "one" ? 1 : -1))), Is.All.EqualTo("one"));
        Assert.That(new PrefixDirectory($"{_place.Root}/prefix").Index.Find("two"), Has.Property("Failed").True);
    }

    /// <summary>A job that ended before it flushed, on nodes of which one is lost: scr_postrun brings the checkpoint out and computes the lost rank.</summary>
    [Test]
    public void WhatWasNotFlushed_IsScavenged([Values("PARTNER", "XOR", "RS")] string type)
    {
        string[] settings = ["SCR_FLUSH=0", $"SCR_COPY_TYPE={type}", "SCR_SET_FAILURES=1"];
        ThreadGroup.Run(4, g => Run(g, 4, settings, s => Take(s, "one", g.Rank, 9), close: false));
        Directory.Delete($"{_place.Root}/cache/node.n2", recursive: true);
        Assert.That(new Scavenger(Parameters(settings), "n0", _said.Enqueue).Run(), string.Join('\n', _said));
        Directory.Delete($"{_place.Root}/cache", recursive: true);
        Assert.That(ThreadGroup.Run(4, g => Run(g, 4, settings, s => Back(s, g.Rank, _ => 9))), Is.All.EqualTo("one"));
    }

    [Test]
    public void AnotherNumberOfRanks_LosesNothing()
    {
        string[] settings = ["SCR_FLUSH=1"];
        ThreadGroup.Run(3, g => Run(g, 3, settings, s => Take(s, "one", g.Rank, 4)));
        Assert.That(ThreadGroup.Run(2, g => Run(g, 2, settings, s => Back(s, g.Rank, _ => 4))), Is.All.Null);
        Assert.That(_said, Has.Some.Contains("3 ranks wrote it, and 2 are here"));
        Assert.That(ThreadGroup.Run(3, g => Run(g, 3, settings, s => Back(s, g.Rank, _ => 4))), Is.All.EqualTo("one"));
    }

    /// <summary>Filemaps say where files are written and removed: none leads out of the directory, or to sets that cannot be.</summary>
    [Test]
    public void Filemaps_ThatCannotBe_AreRefused()
    {
        DatasetInfo dataset = new(1, "d", DatasetInfo.Checkpoint, 1, 2, 5, false);
        SetRecord set = new(CopyType.Xor, 0, 1, 1, 10, 7, [0, 1], [[new("a", 10, null)], [new("b/c", 3, null)]], new("p", 10, null));
        bool IsOne(RankFiles files) => RankFiles.FromTree(KvTree.Parse(files.ToTree().ToBytes())) is not null;
        RankFiles good = new(dataset, 1, [new("b/c", 3, null)], set);
        Assert.That(IsOne(good) && IsOne(good with { Set = null }));
        foreach (string path in (string[])["../x", "a/../../x", "/etc/x", "", "a//b", ".scr/index.scr", "."])
            Assert.That(IsOne(good with { Files = [new(path, 3, null)] }) || IsOne(good with { Set = set with { MemberFiles = [[new(path, 3, null)], []] } }), Is.False, path);
        Assert.That(IsOne(good with { Files = [new("a", -1, null)] }) || IsOne(good with { Rank = 2 }) || IsOne(good with { Rank = -1 }), Is.False);
        foreach (SetRecord other in (SetRecord[])[set with { Members = [0, 0] }, set with { Members = [2, 3] }, set with { Parity = 0 }, set with { Parity = 2 }, set with { ChunkBytes = 9 }, set with { ChunkBytes = -1 }, set with { Type = CopyType.Single }, set with { Members = [], MemberFiles = [] },
            set with { MemberFiles = [[new("a", long.MaxValue, null), new("b", long.MaxValue, null)], []] }])
            Assert.That(IsOne(good with { Set = other }), Is.False, $"{other}");
    }

    [Test]
    public void AParameterThatNamesItself_IsRefused()
    {
        ScrParameters parameters = Parameters([]);
        parameters.Configure("LOOP=$OTHER/x", frozen: false);
        parameters.Configure("OTHER=${LOOP}", frozen: false);
        parameters.Configure("PLAIN=${SCR_JOB_ID}y", frozen: false);
        Assert.That(parameters.Get("PLAIN"), Is.EqualTo("7y"));
        Assert.That(Assert.Throws<CheckpointException>(() => parameters.Get("LOOP"))!.Message, Does.Contain("names itself"));
    }

    [Test]
    public void KvTree_RefusesWhatIsDamaged()
    {
        KvTree tree = new();
        tree.Set("NAME", "value");
        tree["DSET"][12]["NAME"].Set("a name", 7);
        byte[] bytes = tree.ToBytes();
        Assert.That(KvTree.Parse(bytes)!["DSET"][12]["NAME"].Number("a name"), Is.EqualTo(7));
        for (int i = 0; i < bytes.Length; i++)
        {
            Assert.That(KvTree.Parse(bytes.AsSpan(0, i)), Is.Null);
            byte[] damaged = [.. bytes];
            damaged[i] ^= 0x20;
            if (i is >= 20 or < 4) Assert.That(KvTree.Parse(damaged), Is.Null, $"byte {i}");
        }
        for (byte length = 0; length < 24; length++) // no room for the header
        {
            bytes.AsSpan(8, 8).Clear();
            bytes[15] = length;
            Assert.That(KvTree.Parse(bytes), Is.Null);
        }
    }

    private ScrParameters Parameters(string[] settings)
    {
        Dictionary<string, string> variables = new()
        {
            ["SCR_PREFIX"] = $"{_place.Root}/prefix", ["SCR_CACHE_BASE"] = $"{_place.Root}/cache", ["SCR_CACHE_BYPASS"] = "0", ["SCR_USER_NAME"] = "tester", ["SCR_JOB_ID"] = "7",
        };
        foreach (string setting in settings) variables[setting.Split('=')[0]] = setting.Split('=')[1];
        ScrParameters parameters = new(variables.GetValueOrDefault);
        parameters.Configure($"STORE={_place.Root}/cache COUNT={variables.GetValueOrDefault("SCR_CACHE_SIZE", "1")} VIEW=GLOBAL", frozen: false);
        return parameters;
    }

    private T Run<T>(ThreadGroup group, int nodes, string[] settings, Func<ScrSession, T> body, Func<int, int>? nodeOf = null, bool close = true)
    {
        int node = nodeOf?.Invoke(group.Rank) ?? group.Rank / (group.Count / nodes);
        using ScrSession session = new(group, Parameters(settings), $"n{node}", _said.Enqueue);
        T result = body(session);
        if (close) session.Close();
        return result;
    }

    /// <summary>Two files of bytes that follow from a seed, of lengths that differ from rank to rank; a third of nothing.</summary>
    private bool Take(ScrSession session, string name, int rank, int seed)
    {
        session.StartOutput(name, DatasetInfo.Checkpoint);
        for (int i = 0; i < 3; i++) File.WriteAllBytes(session.Route($"{_place.Root}/prefix/{name}/rank_{rank}.{i}"), Bytes(rank, i, seed));
        return session.CompleteOutput(valid: true);
    }

    /// <summary>Name of the checkpoint that came back with the right bytes.</summary>
    private string? Back(ScrSession session, int rank, Func<string, int> seedOf)
    {
        if (session.HaveRestart() is not { } name) return null;
        session.StartRestart();
        for (int i = 0; i < 3; i++) Assert.That(File.ReadAllBytes(session.Route($"{_place.Root}/prefix/{name}/rank_{rank}.{i}")), Is.EqualTo(Bytes(rank, i, seedOf(name))), $"{name}, rank {rank}, file {i}");
        Assert.That(session.CompleteRestart(valid: true));
        return name;
    }

    private static byte[] Bytes(int rank, int file, int seed)
    {
        Random random = new(rank * 31 + file * 7 + seed);
        byte[] bytes = new byte[file == 2 ? 0 : random.Next(1, 40_000)];
        random.NextBytes(bytes);
        return bytes;
    }
}
