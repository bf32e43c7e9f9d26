using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Policies are read whole, or refused by file, line and key.</summary>
public sealed class PolicyTests
{
    [Test]
    public void APolicyIsRead()
    {
        StorePolicy policy = StorePolicy.Parse("""
            # where checkpoints go
            version = 1

            [[tier]]
            kind = "disk"
            path = '/data/trecr'   # literal

            [[tier]]
            name = "b\u00e4r-1"
            kind = "partner"
            path = "agent:/run/b.sock"
            """.Replace("b\\u00e4r-1", "other-node") + """

            every = 4
            keep = 2
            max-rate = "200M"
            [[ tier ]]
            kind = "rs"
            parity = 2
            every = 1_0
            nodes = [
              "/n/a", "/n/b",   # data
              "/n/c",
              "agent:/n/d",
              "/n/e",
            ]
            [[tier]]
            kind = "xor"
            nodes = ["/x/a", "/x/b", "/x/c"]
            """, "p.toml");
        Assert.That(policy.Tiers.Select(t => (t.Name, t.Kind, t.Places.Count, t.Parity, t.Every, t.Keep.Last, t.MaxBytesPerSecond)), Is.EqualTo(new[]
        {
            ("disk-1", TierKind.Disk, 1, 0, 1, 3, 0L), ("other-node", TierKind.Partner, 1, 0, 4, 2, 200L << 20), ("rs-3", TierKind.ReedSolomon, 5, 2, 10, 3, 0L), ("xor-4", TierKind.Xor, 3, 1, 1, 3, 0L),
        }));
        Assert.That(policy.Tiers[2].Places[3], Is.EqualTo("agent:/n/d"));
        Assert.That(StorePolicy.Parse("", "empty").Tiers, Is.Empty);
    }

    [TestCase("[[tier]]\nkind = \"disc\"", "2: kind: disc: wants memory")]
    [TestCase("[[tier]]\n\npath = \"/a\"", "1: tier: kind is missing")]
    [TestCase("[[tier]]\nkind = \"disk\"", "1: tier: path is missing")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"a/b\"", "3: path: a/b: wants a full path")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\nevry = 2", "4: evry: no such key of [[tier]]; there are name,")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\nevery = 0", "4: every: wants a whole number from 1")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\nevery = \"2\"", "4: every: wants a whole number from 1")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\npath = \"/b\"", "4: path: comes twice")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\nmax-rate = \"fast\"", "4: max-rate: wants bytes")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\n[[tier]]\nkind = \"disk\"\npath = \"/a\"", "6: path: /a: another tier is there")]
    [TestCase("[[tier]]\nkind = \"disk\"\npath = \"/a\"\nnodes = [\"/b\"]", "4: nodes: a tier of kind disk has a path")]
    [TestCase("[[tier]]\nkind = \"rs\"\nnodes = [\"/a\",\n\"/b\", \"/c\"]", "1: tier: parity is missing")]
    [TestCase("[[tier]]\nkind = \"rs\"\nparity = 2\nnodes = [\"/a\", \"/b\", \"/c\"]", "4: nodes: nodes: 3; a set with parity 2 has 4")]
    [TestCase("[[tier]]\nkind = \"xor\"\nnodes = [\"/a\", \"/b\", \"/a\"]", "3: nodes: a node comes twice")]
    [TestCase("[[tiers]]\nkind = \"disk\"", "1: tiers: no such table")]
    [TestCase("[tier]\nkind = \"disk\"", "1: tier: is written [[tier]]")]
    [TestCase("version = 2", "1: version: a newer policy")]
    [TestCase("a", "1: a: '=' is missing")]
    [TestCase("a =", "1: a: has no value")]
    [TestCase("a = 1.5", "1: a: 1.5: wants a string")]
    [TestCase("a = \"x", "1: a: the string does not end")]
    [TestCase("a = \"\\q\"", "1: a: \\q: no such escape")]
    [TestCase("a = { b = 1 }", "1: a: inline tables are not read")]
    [TestCase("a.b = 1", "1: a: dotted keys are not read")]
    [TestCase("a = \"\"\"x\"\"\"", "1: a: strings over several lines")]
    [TestCase("\n\n= 3", "3: '=' where a key should begin")]
    [TestCase("a = 1 b = 2", "1: 'b' where the line should end")]
    [TestCase("a = [1, 2\nb = 3", "2: a: the array does not end")]
    [TestCase("[a", "1: a: ']' is missing")]
    public void ABadPolicyIsRefusedByFileLineAndKey(string text, string message)
        => Assert.That(Assert.Throws<PolicyException>(() => StorePolicy.Parse(text, "job.toml"))!.Message, Does.StartWith($"job.toml:{message}"));

    [Test]
    public void NoTextMakesTheReaderFailOtherwise()
    {
        const string letters = "[]=\"'\\#\n\r\t ,.{}ax1_-u\u00e4\0";
        Random random = new(5);
        for (int i = 0; i < 20_000; i++)
        {
            string text = new([.. Enumerable.Range(0, random.Next(24)).Select(_ => letters[random.Next(letters.Length)])]);
            try { StorePolicy.Parse(text, "f"); }
            catch (PolicyException e) { Assert.That(e.Message, Does.Match("^f:[0-9]+: "), text); }
        }
    }
}
