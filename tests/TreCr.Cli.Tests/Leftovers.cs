using NUnit.Framework;

namespace TreCr.Cli.Tests;

/// <summary>Removes what all tests share.</summary>
[SetUpFixture]
public sealed class Leftovers
{
    [OneTimeTearDown]
    public void Remove() => File.Delete(Workplace.CounterPath);
}
