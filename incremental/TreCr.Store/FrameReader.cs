namespace TreCr.Store;

/// <summary>Reads frames, whole ones and patched ones, and verifies them. Keeps the last objects of pages, which neighbouring frames share. One thread at a time.</summary>
/// <param name="unfinished">a pack that is being written, whose objects can be read too; null: none</param>
internal sealed class FrameReader(StoreCatalog catalog, PackWriter? unfinished = null)
{
    private const int KeptObjects = 64;

    private readonly (UInt128 Hash, byte[] Bytes)[] _kept = new (UInt128, byte[])[KeptObjects];
    private int _next;

    /// <param name="hash">of the frame</param><param name="patch">null: it is an object itself</param><param name="into">[one frame]</param>
    /// <exception cref="StoreException">Damaged: something of it is missing, or not the bytes that were written.</exception>
    internal void Read(UInt128 hash, FramePatch? patch, Span<byte> into)
    {
        if (patch is null)
        {
            ReadObject(hash, into, verify: true);
            return;
        }
        if (unfinished is null) // a writer's new frames must not need an object that is damaged where they do not use it
        {
            // What comes out has a hash of its own: objects that give it need no look each.
            try
            {
                PutTogether(patch, into, verify: false);
                if (catalog.Seal.Name(into) == hash) return;
            }
            catch (StoreException) { } // told below, unless another pack has it whole
            Array.Clear(_kept);
        }
        PutTogether(patch, into, verify: true);
        if (catalog.Seal.Name(into) != hash)
            throw new StoreException(StoreErrorKind.Damaged, $"frame {hash:x32}, put together from object {patch.Base:x32} and pages of others, has another hash");
    }

    private void PutTogether(FramePatch patch, Span<byte> into, bool verify)
    {
        ReadObject(patch.Base, into, verify);
        foreach (FramePatch.Page page in patch.Pages)
        {
            Span<byte> target = into.Slice(page.Number * Format.PageBytes, Format.PageBytes);
            if (page.IsZero) target.Clear();
            else if (verify || !catalog.TryReadPiece(page.Object, page.At * Format.PageBytes, target)) PagesOf(page.Object, verify).AsSpan(page.At * Format.PageBytes, Format.PageBytes).CopyTo(target);
        }
    }

    private byte[] PagesOf(UInt128 hash, bool verify)
    {
        foreach ((UInt128 known, byte[] bytes) in _kept)
            if (known == hash && bytes is not null) return bytes;
        int length = unfinished is not null && unfinished.TryFind(hash, out IndexEntry entry) || catalog.TryFind(hash, out _, out entry) ? entry.PlainBytes : throw catalog.Missing(hash);
        if (length > Format.FrameSizeBytes || length % Format.PageBytes != 0) throw new StoreException(StoreErrorKind.Damaged, $"object {hash:x32} has {length} bytes: not pages of frames");
        ref (UInt128 Hash, byte[] Bytes) kept = ref _kept[_next++ % KeptObjects];
        byte[] read = kept.Bytes ?? new byte[Format.FrameSizeBytes];
        kept = default; // it may not be what it was, if this fails
        ReadObject(hash, read.AsSpan(0, length), verify);
        read.AsSpan(length).Clear(); // a page behind its end reads as zero, and the frame's hash tells
        kept = (hash, read);
        return read;
    }

    private void ReadObject(UInt128 hash, Span<byte> into, bool verify)
    {
        if (unfinished?.TryRead(hash, into, verify) != true) catalog.Read(hash, into, verify);
    }
}
