namespace TreCr.Images;

/// <summary>
/// Where one process or one delegator puts what it saves: named parts, each a sparse byte range cut into frames of
/// <see cref="FrameSizeBytes"/>. What was never written reads as zero. Implemented by the store, and by memory in tests.
/// </summary>
/// <remarks>Writers copy what they are given before they return; hashing, compression and I/O happen behind (design.md §4).</remarks>
public interface ISnapshotWriter
{
    /// <summary>Bytes in a frame, the unit of storage and of deduplication: 64 KiB.</summary>
    const int FrameSizeBytes = 64 * 1024;

    /// <summary>Opens a part. Each name may be opened once.</summary>
    /// <param name="name">1 to 100 characters of [a-z0-9._-]; a part of the same name in the base snapshot can lend its frames</param>
    /// <param name="lengthBytes">length of the range; memory parts use addresses as offsets, so that 2^47 is usual</param>
    IPartWriter OpenPart(string name, long lengthBytes);

    /// <summary>Stores a small record (a serialized protobuf message) under a name.</summary>
    /// <param name="bytes">at most 64 MiB</param>
    void PutRecord(string name, ReadOnlySpan<byte> bytes);

    /// <summary>Refuses, by an exception of the writer's, what surely does not fit where the snapshot goes. While the program runs, before anything is written.</summary>
    /// <param name="plainBytes">bytes that will be written</param>
    /// <param name="sample">fills a frame with bytes from this fraction of them (0 to 1); false: cannot</param>
    void RequireRoom(long plainBytes, Func<double, nint, bool> sample);

    /// <summary>Maps and touches memory, so that as many frames as asked for can be taken or written without a page fault and without waiting. While the program runs.</summary>
    /// <returns>frames for which there is room now; fewer than asked for where the memory limit is reached</returns>
    int PrepareFrames(int count);

    /// <summary>Takes a buffer of one frame, whose content is undefined, to be handed over by <see cref="IPartWriter.WriteTaken"/> or <see cref="ReturnFrame"/>.</summary>
    /// <param name="timeoutMs">how long to wait for one; 0: not at all</param>
    /// <returns>address; 0: the memory limit is reached</returns>
    nint TakeFrame(int timeoutMs = 0);

    /// <summary>
    /// For whoever copies much while the program runs: waits until little of what was copied so far is still to be hashed and written, so that the same few buffers, which the processors' caches hold, are used again and again
    /// instead of fresh memory. Returns at once after <see cref="HoldFrames"/>.
    /// </summary>
    void AwaitWorkers();

    /// <summary>Gives a taken buffer back unused.</summary>
    void ReturnFrame(nint frame);

    /// <summary>
    /// The program stands still from now on, or soon will: until the snapshot is finished frames are only copied, and nothing is hashed, compressed or
    /// written, as far as the memory limit allows. May be called again.
    /// </summary>
    void HoldFrames();
}

/// <summary>One part being written. Any thread, one call per frame.</summary>
public interface IPartWriter
{
    /// <summary>Writes one frame. Frames of zeroes cost nothing.</summary>
    /// <param name="offsetBytes">multiple of <see cref="ISnapshotWriter.FrameSizeBytes"/></param>
    /// <param name="bytes">[1 .. FrameSizeBytes]; a short frame is padded with zeroes</param>
    void WriteFrame(long offsetBytes, ReadOnlySpan<byte> bytes);

    /// <summary>True when the base snapshot holds this part with a frame (or zeroes) here, so that <see cref="KeepFrame"/> is allowed.</summary>
    bool CanKeep(long offsetBytes);

    /// <summary>Writes the frame in a buffer from <see cref="ISnapshotWriter.TakeFrame"/>, which is the writer's from now on.</summary>
    /// <param name="frame">[FrameSizeBytes]</param>
    void WriteTaken(long offsetBytes, nint frame);

    /// <summary>
    /// Writes pages of frames that are otherwise as they were last given in this snapshot or, where they were not, as they are in the base, if there is one, or zero. Until <see cref="ISnapshotWriter.HoldFrames"/> they are stored behind at once.
    /// </summary>
    /// <param name="pages">the writer's from now on, with its buffers</param>
    void WritePages(CopiedPages pages);

    /// <summary>Takes the frame at this offset unchanged from the base snapshot.</summary>
    /// <exception cref="InvalidOperationException">no base, or no such part in it</exception>
    void KeepFrame(long offsetBytes);
}

/// <summary>A saved snapshot. Every read verifies the frame's hash. Any thread.</summary>
public interface ISnapshotReader
{
    /// <summary>Names of all parts.</summary>
    IReadOnlyList<string> Parts { get; }

    /// <summary>Opens a part for reading.</summary>
    /// <exception cref="ImageException">no part of this name</exception>
    IPartReader OpenPart(string name);

    /// <summary>Reads a record.</summary>
    /// <exception cref="ImageException">no record of this name, or damaged</exception>
    byte[] GetRecord(string name);

    /// <summary>Names of all records.</summary>
    IReadOnlyList<string> Records { get; }
}

/// <summary>One part of a saved snapshot.</summary>
public interface IPartReader
{
    /// <summary>Length given when the part was opened for writing, bytes.</summary>
    long LengthBytes { get; }

    /// <summary>Offsets of the frames that hold anything but zeroes, ascending.</summary>
    IReadOnlyList<long> FrameOffsets { get; }

    /// <summary>Whether the frame at a multiple of the frame size holds anything but zeroes; without making a list of all.</summary>
    bool HasFrame(long offsetBytes);

    /// <summary>Reads and verifies the frame at a multiple of the frame size; zeroes where nothing was written.</summary>
    /// <param name="into">[FrameSizeBytes]</param>
    /// <exception cref="ImageException">the stored bytes do not have the frame's hash</exception>
    void ReadFrame(long offsetBytes, Span<byte> into);
}

/// <summary>An image is missing, damaged, of another format version, or holds values that cannot be.</summary>
/// <param name="message">names the image, the part and what is wrong</param>
public class ImageException(string message, Exception? inner = null) : Exception(message, inner);
