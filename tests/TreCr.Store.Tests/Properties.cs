using FsCheck;
using FsCheck.Fluent;

namespace TreCr.PropertyTesting;

/// <summary>Runs properties; a failure shows the smallest case found, and the seed.</summary>
internal static class Properties
{
    /// <param name="cases">how many cases are tried</param>
    internal static void Hold<T>(int cases, Action<T> property)
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(cases).WithEndSize(60).WithQuietOnSuccess(true), Prop.ForAll<T>(property));
}
