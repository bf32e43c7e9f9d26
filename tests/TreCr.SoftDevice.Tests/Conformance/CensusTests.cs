using NUnit.Framework;

namespace TreCr.SoftDevice.Tests.Conformance;

/// <summary>
/// Every instruction form that NVIDIA's 11.8 libraries contain as PTX (census.txt: form by form, from cuBLAS, cuBLASLt, cuFFT, cuRAND, cuSOLVER and cuSPARSE, most frequent first) has a row of its own. There is
/// no list of exceptions: a form without one fails here.
/// </summary>
public sealed class CensusTests
{
    static string[] Census => File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Conformance", "census.txt"));

    [Test]
    public void EveryFormOfTheLibrariesHasARow()
    {
        HashSet<string> covered = [.. Rows.All.SelectMany(r => r.Form.Split(' ', StringSplitOptions.RemoveEmptyEntries)), .. Rows.All.SelectMany(r => r.Covers)];
        Assert.That(Census, Has.Length.GreaterThan(500));
        Assert.That(Census.Where(f => !covered.Contains(f)), Is.Empty);
    }
}
