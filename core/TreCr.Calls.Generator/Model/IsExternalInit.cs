namespace System.Runtime.CompilerServices;

/// <summary>netstandard2.0 lacks the marker that <c>init</c> and records need.</summary>
internal static class IsExternalInit;
