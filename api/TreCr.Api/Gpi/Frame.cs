using System.Text;

namespace TreCr.Api.Gpi;

/// <summary>One message between a rank and the agent.</summary>
/// <param name="Id">of the request; 0: there is no answer to it</param>
/// <param name="Descriptor">that came along, which is the receiver's to close; -1: none</param>
internal readonly record struct Frame(FrameKind Kind, uint Id, byte[] Payload, int Descriptor = -1)
{
    /// <summary>Most bytes of one: what all members of a group give together has to fit.</summary>
    public const int MaxPayloadBytes = 16 << 20;

    public static Frame Of(FrameKind kind, uint id, Action<BinaryWriter> write, int descriptor = -1) => new(kind, id, Pack(write), descriptor);

    public static byte[] Pack(Action<BinaryWriter> write)
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream, Encoding.UTF8);
        write(writer);
        writer.Flush();
        return stream.ToArray();
    }

    /// <summary>Reads the payload.</summary>
    /// <exception cref="EndOfStreamException">it ends too early</exception>
    public T Read<T>(Func<BinaryReader, T> read) => Unpack(Payload, read);

    /// <inheritdoc cref="Read{T}"/>
    public static T Unpack<T>(byte[] payload, Func<BinaryReader, T> read)
    {
        using BinaryReader reader = new(new MemoryStream(payload, writable: false), Encoding.UTF8);
        return read(reader);
    }

    public static void WriteRanks(BinaryWriter writer, ushort[] ranks)
    {
        writer.Write((ushort)ranks.Length);
        foreach (ushort rank in ranks) writer.Write(rank);
    }

    public static ushort[] ReadRanks(BinaryReader reader)
    {
        ushort[] ranks = new ushort[reader.ReadUInt16()];
        for (int i = 0; i < ranks.Length; i++) ranks[i] = reader.ReadUInt16();
        return ranks;
    }

    /// <summary>The rest of a payload.</summary>
    public static byte[] Rest(BinaryReader reader) => reader.ReadBytes((int)(reader.BaseStream.Length - reader.BaseStream.Position));
}
