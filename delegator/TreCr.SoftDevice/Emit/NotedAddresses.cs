using TreCr.SoftDevice.Backend;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Addresses of a module and of <see cref="ConstantTables"/>, and a note of each that was asked for: code that holds them is good only where they are the same.</summary>
sealed class NotedAddresses(ISymbolAddresses inner) : ISymbolAddresses
{
    readonly Dictionary<string, ulong> noted = [];

    public ISymbolAddresses Inner => inner;

    /// <summary>What was asked for so far.</summary>
    public KeyValuePair<string, ulong>[] Noted { get { lock (noted) return [.. noted]; } }

    public ulong Of(string name)
    {
        ulong address = Find(name);
        lock (noted) noted[name] = address;
        return address;
    }

    /// <summary>The same, without a note.</summary>
    public ulong Find(string name) => name[0] == '@' && name != SoftModule.HeapName ? ConstantTables.Of(name) : inner.Of(name);
}
