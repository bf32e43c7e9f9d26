using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace TreCr.Api;

/// <summary>Brings a checkpoint out of the scratch directory, durably: in the program itself (sync), or in the helper (async).</summary>
public static class Flusher
{
    private const int Attempts = 3;

    /// <exception cref="Exception">it could not be done; the message says why. What was there before is as it was.</exception>
    public static void Flush(CheckpointDirectory scratch, FlushRequest request)
    {
        CheckpointId id = request.Id;
        for (int attempt = 1; ; attempt++)
        {
            using SafeFileHandle file = FilePieces.TryOpen(scratch.PathOf(id)) ?? throw new CheckpointException($"{id}: not in {scratch.Path}");
            // Two seals: whoever took the version anew died before its file had the name, or is about to give it.
            FileSeal? seal = scratch.Seals(id) is var seals && seals.Count == 1 ? seals[0] : seals.LastOrDefault(s => s.Holds(file));
            if (seal is null) throw new CheckpointException($"{id}: {scratch.Path} does not hold what was written");
            try
            {
                Flush(file, seal, request);
                return;
            }
            // The version was taken anew between the two looks: once more.
            catch (CheckpointException) when (attempt < Attempts && !seal.Holds(file)) { }
        }
    }

    private static void Flush(SafeFileHandle file, FileSeal seal, FlushRequest request)
    {
        if (request.ChecksumDirectory is { } checksums) RecordSha256(file, seal.LengthBytes, checksums, request.Id);
        if (request.Persistent is { } path)
        {
            CheckpointDirectory persistent = new(path);
            persistent.Take(request.Id, file, seal, durable: true, request.Original);
            foreach (int old in Pruning.Superfluous(persistent.List(request.Id.Name, request.Id.Rank).Select(i => i.Version), request.MaxVersions, Pruning.Complete(request.Id.Name, request.Ranks, persistent)))
                persistent.Delete(request.Id with { Version = old });
        }
        if (request.Store is { } store) new CheckpointStore(store, request.StorePolicy).Put(request.Id, file, seal, request.MaxVersions);
    }

    /// <summary>VELOC's own record, 32 bytes: with it the original library takes the checkpoint too.</summary>
    private static void RecordSha256(SafeFileHandle file, long length, string directory, CheckpointId id)
    {
        Directory.CreateDirectory(directory);
        using IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        for (long at = 0; at < length && FilePieces.Read(file, buffer, at) is var n and > 0; at += n) sha.AppendData(buffer, 0, n);
        FilePieces.Replace($"{directory}/{id.FileName}.chksum", sha.GetHashAndReset(), durable: false);
    }
}
