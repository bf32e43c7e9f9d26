using NUnit.Framework;

namespace TreCr.Wrapper.Tests;

/// <summary>SUPPORTED.md is what the declarations say; TRECR_UPDATE=1 rewrites it.</summary>
public class SupportedTests
{
    [Test]
    public void Supported_md_is_up_to_date()
    {
        DirectoryInfo? at = new(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at!.FullName, "TreCr.sln"))) at = at.Parent;
        string file = Path.Combine(at.FullName, "SUPPORTED.md");
        if (Environment.GetEnvironmentVariable("TRECR_UPDATE") == "1") File.WriteAllText(file, Cuda.CudaNames.SupportedText);
        Assert.That(Cuda.CudaNames.SupportedText, Is.EqualTo(File.ReadAllText(file)));
    }
}
