namespace TreCr.Api.Scr;

/// <summary>Where a cache is: a STORE line, or the settings in its place.</summary>
/// <param name="Base">directory; of each node its own, or (<paramref name="Global"/>) one of all nodes with a directory node.NAME for each</param>
/// <param name="Count">datasets kept</param>
public sealed record StoreDescriptor(string Base, int Count, bool Global);
