using System.Diagnostics;
using System.Text;
using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>Tiers in object stores: one in this process that fails on request and checks signatures as they come over the wire, and s3rver of npm, which others have written (of version 4 it checks the access key only).</summary>
[NonParallelizable]
public sealed class S3TierTests : StoreTestBase
{
    private const string BucketName = "trecr-test";

    private string Credentials(string key, string secret)
    {
        string path = Path.Combine(Dir, "credentials");
        File.Delete(path);
        File.WriteAllText(path, $"[other]\naws_access_key_id = no\n\n[default]\n# ours\naws_access_key_id = {key}\naws_secret_access_key={secret}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    private TierSet Tier(string endpoint, string credentials) => new(StorePolicy.Parse($"""
        [[tier]]
        name = "far"
        kind = "s3"
        endpoint = "{endpoint}"
        bucket = "{BucketName}"
        prefix = "some/where"
        credentials = "{credentials}"
        keep = 2
        """, "policy.toml"));

    private static S3StoreFiles Files(FakeS3 server, string credentials) => S3StoreFiles.Open(new S3Place(new Uri(server.Endpoint), BucketName, "p/", "us-east-1", credentials, "default"), TimeSpan.FromSeconds(5));

    /// <summary>Frames of more than two pieces of 8 MiB.</summary>
    private static (long, byte[])[] Frames(int seed, int count) => [.. Enumerable.Range(0, count).Select(i => ((long)i, Random(seed * 1000 + i)))];

    private void LoseLocal() => Directory.Delete(Path.Combine(Dir, "store"), recursive: true);

    private void GoAndReturn(string endpoint, string credentials)
    {
        TierSet tiers = Tier(endpoint, credentials);
        using (SnapshotStore local = Open())
        {
            for (ulong epoch = 1; epoch <= 3; epoch++)
            {
                Checkpoint(local, "job", epoch, Frames((int)epoch, epoch == 2 ? 300 : 20));
                TierFlush flush = tiers.Flush(local, "job").Single();
                Assert.That((flush.Problem, string.Join(' ', flush.Copied)), Is.EqualTo(((string?)null, $"job.{epoch}")));
            }
            Assert.That(tiers.Flush(local, "job").Single().Copied, Is.Empty);
        }
        Assert.That(tiers.Contents().Single().Checkpoints, Is.EqualTo(new[] { "job.2", "job.3" }), "two are kept");
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
        LoseLocal();
        using SnapshotStore empty = Open();
        Assert.That(tiers.MakeWhole(empty, "job.2").From, Is.EqualTo(new[] { ("far", 301L) }));
        Assert.That(tiers.MakeWhole(empty, "job").Checkpoint.Epoch, Is.EqualTo(3));
        Assert.That(empty.Verify().Problems, Is.Empty);
    }

    [Test]
    public void CheckpointsGoThereAndComeBack()
    {
        using FakeS3 server = new();
        GoAndReturn(server.Endpoint, Credentials(FakeS3.AccessKey, FakeS3.SecretKey));
        Assert.That(server.Completed, Is.GreaterThan(0), "what is big goes in pieces");
        Assert.That(server.OpenUploads, Is.Zero);
        Assert.That(server.Objects.Keys, Has.All.StartsWith($"/{BucketName}/some/where/"));
        Assert.That(server.Objects.Keys.Where(k => k.Contains("/locks/") || k.Contains("/sessions/") || k.Contains(".tmp-")), Is.Empty);
    }

    [Test]
    public void CheckpointsGoToS3rverAndComeBack()
    {
        string place = Path.Combine(TestContext.CurrentContext.TestDirectory, "s3rver-3.7.1"), program = $"{place}/node_modules/.bin/s3rver";
        using Process server = StartS3rver(place, program, out string endpoint);
        try
        {
            GoAndReturn(endpoint, Credentials("S3RVER", "S3RVER"));
            using SnapshotStore local = Open();
            Assert.That(Tier(endpoint, Credentials("NOBODY", "S3RVER")).Flush(local, "job").Single().Problem, Does.Contain("InvalidAccessKeyId: the server does not know the access key NOBODY"));
        }
        finally
        {
            server.Kill(entireProcessTree: true);
            server.WaitForExit(60_000);
        }
    }

    [Test]
    public void FailuresThatPassAreTriedAgain()
    {
        using FakeS3 server = new();
        int requests = 0;
        server.Faults = (_, _) => (++requests % 4) switch { 1 => FakeS3.Fault.Unavailable, 2 => FakeS3.Fault.Drop, 3 when requests % 8 == 3 => FakeS3.Fault.CutOff, _ => FakeS3.Fault.None };
        TierSet tiers = Tier(server.Endpoint, Credentials(FakeS3.AccessKey, FakeS3.SecretKey));
        using (SnapshotStore local = Open())
        {
            Checkpoint(local, "job", 1, Frames(1, 5));
            Assert.That(tiers.Flush(local, "job").Single().Problem, Is.Null);
        }
        LoseLocal();
        using SnapshotStore empty = Open();
        tiers.MakeWhole(empty, "job");
        Assert.That(empty.Verify().Problems, Is.Empty);
        Assert.That(requests, Is.GreaterThan(40));
    }

    [TestCase("Skewed", "RequestTimeTooSkewed: the clocks differ: the server's says 20")]
    [TestCase("WrongKey", "InvalidAccessKeyId: the server does not know the access key FAKEACCESS")]
    [TestCase("WrongSignature", "SignatureDoesNotMatch: the secret key does not belong to")]
    [TestCase("NoBucket", "NoSuchBucket: make the bucket first")]
    [TestCase("Full", "failed 5 times: 507 QuotaExceeded")]
    [TestCase("Unavailable", "failed 5 times: 503 SlowDown")]
    [TestCase("Drop", "failed 5 times: ")]
    [TestCase("CutOff", "failed 5 times: ")]
    public void WhatStaysWrongIsNamedAndTheTierHasTheOldOnly(string fault, string says)
    {
        using FakeS3 server = new();
        TierSet tiers = Tier(server.Endpoint, Credentials(FakeS3.AccessKey, FakeS3.SecretKey));
        using SnapshotStore local = Open();
        Checkpoint(local, "job", 1, Frames(1, 3));
        Assert.That(tiers.Flush(local, "job").Single().Problem, Is.Null);
        Checkpoint(local, "job", 2, Frames(2, 3));
        FakeS3.Fault kind = Enum.Parse<FakeS3.Fault>(fault);
        server.Faults = (method, path) => kind == FakeS3.Fault.CutOff ? method == "GET" ? kind : FakeS3.Fault.None : path.Contains("/packs/") && method == "PUT" || kind == FakeS3.Fault.NoBucket ? kind : FakeS3.Fault.None;
        string? problem = tiers.Flush(local, "job").Single().Problem;
        Assert.That(problem, Does.Contain(says));
        Assert.That(problem, Does.Not.Contain(FakeS3.SecretKey));
        server.Faults = (_, _) => FakeS3.Fault.None;
        Assert.That(tiers.Contents().Single().Checkpoints, Is.EqualTo(new[] { "job.1" }), "absent, not half");
        Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.2" }));
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
    }

    [Test]
    public void WrongCredentialsAreNamedAndNotShown()
    {
        using FakeS3 server = new();
        using SnapshotStore local = Open();
        string? problem = Tier(server.Endpoint, Credentials(FakeS3.AccessKey, "another-secret")).Flush(local, "job").Single().Problem;
        Assert.That(problem, Does.Contain("SignatureDoesNotMatch: the secret key does not belong to the access key FAKEACCESS"));
        Assert.That(problem, Does.Not.Contain("another-secret"));
        Assert.That(Tier(server.Endpoint, Credentials("NOBODY", FakeS3.SecretKey)).Flush(local, "job").Single().Problem, Does.Contain("InvalidAccessKeyId: the server does not know the access key NOBODY"));
    }

    [Test]
    public void AServerThatVanishesInTheMiddleIsFilledOnLater()
    {
        using FakeS3 server = new();
        TierSet tiers = Tier(server.Endpoint, Credentials(FakeS3.AccessKey, FakeS3.SecretKey));
        using SnapshotStore local = Open();
        Checkpoint(local, "job", 1, Frames(1, 300));
        int parts = 0;
        server.Faults = (method, path) => path.EndsWith(".pack", StringComparison.Ordinal) && method == "PUT" && ++parts > 1 ? FakeS3.Fault.Drop : FakeS3.Fault.None;
        Assert.That(tiers.Flush(local, "job").Single().Problem, Does.Contain("failed 5 times"));
        server.Faults = (_, _) => FakeS3.Fault.None;
        Assert.That(tiers.Contents().Single().Checkpoints, Is.Empty);
        Assert.That(tiers.Flush(local, "job").Single().Copied, Is.EqualTo(new[] { "job.1" }));
        Assert.That(server.OpenUploads, Is.Zero, "given up, not forgotten");
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
    }

    [Test]
    public void WhatIsAlteredThereIsNoticedAndHealedByTheNextFlush()
    {
        using FakeS3 server = new();
        string credentials = Credentials(FakeS3.AccessKey, FakeS3.SecretKey);
        TierSet tiers = Tier(server.Endpoint, credentials);
        using SnapshotStore local = Open();
        Checkpoint(local, "job", 1, Frames(1, 5));
        tiers.Flush(local, "job");
        foreach (string key in server.Objects.Keys.Where(k => !k.Contains("/locks/")).ToArray())
        {
            byte[] good = server.Objects[key].Bytes;
            foreach (byte[] bad in new[] { good[..(good.Length / 2)], [.. good[..(good.Length / 2)], (byte)(good[good.Length / 2] ^ 1), .. good[(good.Length / 2 + 1)..]], [], Random(7, good.Length) })
            {
                server.Objects[key] = (bad, DateTime.UtcNow);
                VerifyReport report = tiers.Verify(null).Single().Report;
                Assert.That(report.Problems, Is.Not.Empty, $"{key}, {bad.Length} of {good.Length} bytes");
            }
            server.Objects[key] = (good, DateTime.UtcNow);
        }
        Assert.That(tiers.Verify(null).Single().Report.Problems, Is.Empty);
    }

    [Test]
    public void LocksHoldBetweenClientsAndThoseOfTheDeadEnd()
    {
        using FakeS3 server = new();
        string credentials = Credentials(FakeS3.AccessKey, FakeS3.SecretKey);
        using S3StoreFiles a = Files(server, credentials), b = Files(server, credentials);
        using (IDisposable? shared = a.TryLock(exclusive: false))
        {
            Assert.That(shared, Is.Not.Null);
            using (IDisposable? second = b.TryLock(exclusive: false)) Assert.That(second, Is.Not.Null);
            Assert.That(b.TryLock(exclusive: true), Is.Null);
        }
        using (IDisposable? exclusive = a.TryLock(exclusive: true))
        {
            Assert.That(exclusive, Is.Not.Null);
            Assert.That(b.TryLock(exclusive: false), Is.Null);
        }
        Assert.That(server.Objects, Is.Empty);
        server.Objects[$"/{BucketName}/p/locks/shared-dead"] = ([], DateTime.UtcNow.AddHours(-23));
        Assert.That(b.TryLock(exclusive: true), Is.Null);
        server.Objects[$"/{BucketName}/p/locks/shared-dead"] = ([], DateTime.UtcNow.AddHours(-25));
        b.TryLock(exclusive: true)!.Dispose();
        Assert.That(server.Objects, Is.Empty);
    }

    [TestCase("endpoint = \"http://me:secret@host\"\nbucket = \"abc\"", "3: endpoint: holds credentials")]
    [TestCase("endpoint = \"ftp://host\"\nbucket = \"abc\"", "3: endpoint: wants http")]
    [TestCase("endpoint = \"http://host\"", "bucket is missing")]
    [TestCase("endpoint = \"http://host\"\nbucket = \"A_B\"", "4: bucket: A_B")]
    [TestCase("endpoint = \"http://host\"\nbucket = \"abc\"\nprefix = \"../x\"", "5: prefix")]
    [TestCase("endpoint = \"http://host\"\nbucket = \"abc\"\nsecret-key = \"x\"", "5: secret-key: no such key")]
    [TestCase("endpoint = \"http://host\"\nbucket = \"abc\"\npath = \"/x\"", "5: path: a tier of kind s3")]
    public void ABadPlaceIsRefusedByFileLineAndKey(string text, string says)
    {
        PolicyException e = Assert.Throws<PolicyException>(() => StorePolicy.Parse($"[[tier]]\nkind = \"s3\"\n{text}", "policy.toml"))!;
        Assert.That(e.Message, Does.Contain(says).And.Not.Contain("me:secret"));
    }

    [Test]
    public void CredentialsThatOthersCanReadAreRefused()
    {
        using FakeS3 server = new();
        string path = Credentials(FakeS3.AccessKey, FakeS3.SecretKey);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        using SnapshotStore local = Open();
        Assert.That(Tier(server.Endpoint, path).Flush(local, "job").Single().Problem, Does.Contain("others may read it"));
        Assert.That(Tier(server.Endpoint, path + "-none").Flush(local, "job").Single().Problem, Does.Contain("credentials-none"));
    }

    private Process StartS3rver(string place, string program, out string endpoint)
    {
        if (!File.Exists(program))
        {
            StringBuilder said = new();
            try
            {
                using Process npm = Process.Start(new ProcessStartInfo("npm", ["install", "--no-audit", "--no-fund", "--prefix", place, "s3rver@3.7.1"]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
                npm.ErrorDataReceived += (_, e) => said.AppendLine(e.Data);
                npm.BeginErrorReadLine();
                npm.BeginOutputReadLine();
                if (!npm.WaitForExit(180_000)) npm.Kill(entireProcessTree: true);
            }
            catch (System.ComponentModel.Win32Exception) { }
            if (!File.Exists(program)) Assert.Ignore($"npm cannot install s3rver: {said.ToString().Split('\n').LastOrDefault(l => l.Contains("error"))}");
        }
        Directory.CreateDirectory($"{Dir}/s3");
        Process server = Process.Start(new ProcessStartInfo("node", [program, "-d", $"{Dir}/s3", "-p", "0", "-a", "127.0.0.1", "--configure-bucket", BucketName]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        server.ErrorDataReceived += (_, _) => { };
        server.BeginErrorReadLine();
        TaskCompletionSource<string> serves = new();
        server.OutputDataReceived += (_, e) =>
        {
            if (e.Data?.StartsWith("S3rver listening on ", StringComparison.Ordinal) == true) serves.TrySetResult($"http://{e.Data["S3rver listening on ".Length..].Trim()}");
        };
        server.BeginOutputReadLine();
        Assert.That(serves.Task.Wait(120_000), "s3rver does not serve");
        endpoint = serves.Task.Result;
        return server;
    }
}
