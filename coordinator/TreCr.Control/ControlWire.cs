using Google.Protobuf;

namespace TreCr.Control;

/// <summary>Constants of the control protocol, and its framing: one protobuf <see cref="Envelope"/> per datagram, or behind its length between hosts.</summary>
public static class ControlWire
{
    /// <summary>Version that this build speaks; a peer with another one is refused by name.</summary>
    public const uint Version = 1;

    /// <summary>Longest datagram, bytes.</summary>
    public const int MaxMessageBytes = 128 * 1024;

    /// <summary>A gated or frozen rank that hears nothing for this long aborts the epoch, ms (design.md §1).</summary>
    public const int LeaseMs = 10_000;

    /// <summary>The coordinator lets ranks of an epoch hear from it this often, ms.</summary>
    public const int KeepAliveMs = 2_000;

    /// <summary>A checkpoint that takes longer than this fails, ms, where the user gives no deadline.</summary>
    public const int DefaultDeadlineMs = 300_000;

    /// <summary>Port of the coordinator for other hosts, where the user names one without a port.</summary>
    public const int DefaultPort = 7790;

    /// <summary>Bytes of a message.</summary>
    /// <exception cref="ArgumentException">longer than <see cref="MaxMessageBytes"/></exception>
    public static byte[] Encode(Envelope envelope)
    {
        envelope.Version = Version;
        byte[] bytes = envelope.ToByteArray();
        return bytes.Length <= MaxMessageBytes ? bytes : throw new ArgumentException($"control message of {bytes.Length} bytes");
    }

    /// <summary>Reads a message.</summary>
    /// <returns>null: not a message of ours</returns>
    public static Envelope? Decode(ReadOnlySpan<byte> bytes)
    {
        try { return Envelope.Parser.ParseFrom(bytes.ToArray()); }
        catch (InvalidProtocolBufferException) { return null; }
    }
}
