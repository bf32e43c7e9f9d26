using System.Text.Json;
using NUnit.Framework;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary><c>trecr doctor</c>: each thing that TreCr needs is named, with its state and what to do.</summary>
[TestFixture]
public sealed class DoctorTests
{
    private static readonly string[] s_names = ["kernel", "namespaces", "ptrace", "user namespaces", "userfaultfd", "PAGEMAP_SCAN", "libraries", "memory", "/dev/shm", "runtime directory", "store", "installation", "gpu", "limits"];
    private Workplace _place = null!;

    [SetUp]
    public void SetUp() => _place = new Workplace();

    [TearDown]
    public void TearDown() => _place.Dispose();

    private (int Code, Dictionary<string, (string State, string Text, string Cure)> Findings) Doctor(Dictionary<string, string>? environment = null)
    {
        (int code, string[] output, string errors) = _place.Do(environment ?? [], "doctor", "--json");
        Assert.That(output, Has.One.Items, errors);
        return (code, JsonDocument.Parse(output[0]).RootElement.GetProperty("findings").EnumerateArray()
            .ToDictionary(f => f.GetProperty("name").GetString()!, f => (f.GetProperty("state").GetString()!, f.GetProperty("text").GetString()!, f.GetProperty("cure").GetString()!)));
    }

    [Test]
    public void EveryLine_HasAState_AndWhatIsNotOkHasACure()
    {
        (_, var findings) = Doctor();
        Assert.That(findings.Keys, Is.EqualTo(s_names));
        Assert.That(findings.Values.Select(f => f.State).Distinct(), Is.SubsetOf(new[] { "ok", "degraded", "missing" }));
        Assert.That(findings.Where(f => f.Value.State != "ok" && f.Value.Cure.Length == 0), Is.Empty);
        Assert.That(findings.Where(f => f.Value.State == "missing" && f.Key != "installation"), Is.Empty);
        Assert.That(_place.Do("doctor").Output, Has.Length.EqualTo(s_names.Length));
    }

    [Test]
    public void WhatIsMissing_IsExit1()
    {
        string empty = $"{_place.Root}/empty";
        Directory.CreateDirectory(empty);
        (int code, var findings) = Doctor(new() { ["TRECR_HOME"] = empty });
        Assert.That(code, Is.EqualTo(1));
        Assert.That(findings["namespaces"].State, Is.EqualTo("missing"));
        Assert.That(findings["installation"].Text, Does.Contain($"{empty}/trecr-init"));
    }

    /// <summary>A part of /proc is hidden, as in a container: the kernel permits no other /proc, and what is to be done is said for that, not for user namespaces.</summary>
    [Test]
    public void AHiddenPartOfProc_IsNotAMatterOfUserNamespaces()
    {
        using RunningProgram tried = _place.Other("/usr/bin/unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs tmpfs /proc/tty");
        if (tried.WaitForExit(Workplace.Limit) != 0) Assert.Ignore($"no user namespace with a mount here: {tried.Errors}");
        // The second namespace may not uncover what the first one has covered.
        _place.RunBehind("/usr/bin/unshare", "--user", "--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs tmpfs /proc/tty && exec /usr/bin/unshare --user --map-root-user --mount \"$@\"", "sh");
        (int code, var findings) = Doctor();
        Assert.That(code, Is.EqualTo(1));
        Assert.That(findings["namespaces"].State, Is.EqualTo("missing"));
        Assert.That(findings["namespaces"].Text, Does.Contain("mount(/proc)"));
        Assert.That(findings["namespaces"].Cure, Does.Contain("unmask=ALL").And.Not.Contains("user.max_user_namespaces"));
    }

    /// <summary>The driver is asked in a child: what it answers, and that its crash is only a finding.</summary>
    [TestCase("return 0;", "ok", "Test GPU (9.1); driver for CUDA 12.4"), TestCase("return 999;", null, "cuInit answers 999"), TestCase("__builtin_trap();", null, "said nothing")]
    public void TheDriverIsAskedItself(string init, string? state, string text)
    {
        string library = $"{_place.Root}/libcuda.so.1";
        File.WriteAllText($"{_place.Root}/driver.c", $$"""
            #include <string.h>
            int cuInit(unsigned flags) { {{init}} }
            int cuDriverGetVersion(int *v) { *v = 12040; return 0; }
            int cuDeviceGetCount(int *n) { *n = 1; return 0; }
            int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Test GPU", length); return 0; }
            int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : 1; return 0; }
            """);
        using (RunningProgram compiler = new("gcc", ["-w", "-shared", "-fPIC", "-o", library, $"{_place.Root}/driver.c"], new Dictionary<string, string>()))
            Assert.That(compiler.WaitForExit(Workplace.Limit), Is.Zero, compiler.Errors);
        (_, var findings) = Doctor(new() { ["TRECR_LIBCUDA"] = library });
        Assert.That(findings["gpu"].Text, Does.Contain(text));
        Assert.That(findings["gpu"].State, Is.EqualTo(state ?? (File.Exists("/dev/nvidiactl") ? "degraded" : "ok")));
    }
}
