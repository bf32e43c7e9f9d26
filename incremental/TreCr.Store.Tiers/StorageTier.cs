namespace TreCr.Store.Tiers;

/// <summary>A tier of a policy, open: its store, and the set behind it where it is one.</summary>
public sealed class StorageTier : IDisposable
{
    private StorageTier(TierPolicy policy, SnapshotStore store, ErasureStoreFiles? set) => (Policy, Store, Set) = (policy, store, set);

    public TierPolicy Policy { get; }

    public SnapshotStore Store { get; }

    /// <summary>null: a whole copy in one place.</summary>
    public ErasureStoreFiles? Set { get; }

    /// <summary>Opens the store of a tier.</summary>
    /// <param name="create">make directories and the store where they are missing: a node that was wiped begins anew</param>
    /// <exception cref="StoreException">it cannot be reached, or is no store; a set: fewer nodes than are needed</exception>
    public static StorageTier Open(TierPolicy policy, bool create)
    {
        ErasureStoreFiles? set = null;
        IStoreFiles files = policy.S3 is { } place ? S3StoreFiles.Open(place) : policy.Parity == 0 ? OpenPlace(policy.Places[0], create, policy.Kind == TierKind.Nvram) : set = OpenSet(policy, create);
        try { return new StorageTier(policy, SnapshotStore.Open(files, new StoreOptions { Create = create }), set); }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>The set of a tier, without its store: a node that cannot be reached is left out.</summary>
    public static ErasureStoreFiles OpenSet(TierPolicy policy, bool create)
    {
        IStoreFiles?[] nodes = new IStoreFiles?[policy.Places.Count];
        string[] reasons = [.. policy.Places];
        for (int i = 0; i < nodes.Length; i++)
        {
            try { nodes[i] = OpenPlace(policy.Places[i], create); }
            catch (StoreException e) when (e.Kind is StoreErrorKind.IO or StoreErrorKind.NotFound) { reasons[i] = e.Message; }
        }
        return new ErasureStoreFiles(nodes, reasons, policy.Parity);
    }

    public void Dispose() => Store.Dispose();

    private static IStoreFiles OpenPlace(string place, bool create, bool mapPacks = false)
        => place.StartsWith(StorePolicy.AgentPrefix, StringComparison.Ordinal) ? RemoteStoreFiles.Connect(place[StorePolicy.AgentPrefix.Length..])
            : LinuxStoreFiles.Open(place, create, trustOtherOwner: false, mapPacks);
}
