using System.Text;

namespace TreCr.Process.Launch;

/// <summary>
/// What supervisor and init say to each other. One SOCK_SEQPACKET datagram is one message; init answers requests in order on the control
/// socket (its descriptor 3) and reports what it reaps on the event socket (its descriptor 4), 8 bytes each: pid, wait status.
/// </summary>
/// <remarks>Compiled into both; the two always come from the same build. A spawn request is too long for a datagram and travels in a memfd.</remarks>
internal static class InitProtocol
{
    public const int ControlDescriptor = 3, EventDescriptor = 4;
    public const byte Spawn = 1, Signal = 2, Open = 3;

    /// <summary>First pid of engines: far from where programs' pids begin, so that a saved thread id is free at restart.</summary>
    public const int EngineFirstPid = 3_000_000;

    /// <summary>From an engine's pid to that of its <see cref="Lazy.DescriptorKeeper"/>: engines begin within half a million.</summary>
    public const int KeeperDistance = 600_000;
}

/// <summary>A program for init to start.</summary>
internal sealed class SpawnRequest
{
    public string Path = "", WorkingDirectory = "";
    public List<string> Arguments = [], Environment = [];

    /// <summary>Wanted pid; 0: any. An engine's lies above <see cref="InitProtocol.EngineFirstPid"/>.</summary>
    public int Pid;

    /// <summary>Descriptor number in the program of each passed descriptor; 0, 1 and 2 are /dev/null where not named.</summary>
    public List<int> Targets = [];

    /// <summary>Keeps init's capabilities (engine); otherwise those below.</summary>
    public bool IsEngine;

    /// <summary>Descriptor 0 becomes the controlling terminal.</summary>
    public bool ControllingTerminal;

    /// <summary>What the program shall have, as the supervisor had it: bits of capabilities(7).</summary>
    public ulong Inheritable, Permitted, Effective, Ambient;

    public byte[] Serialize()
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream, Encoding.UTF8);
        writer.Write(Path); writer.Write(WorkingDirectory);
        WriteAll(writer, Arguments); WriteAll(writer, Environment);
        writer.Write(Pid); writer.Write(Targets.Count);
        foreach (int target in Targets) writer.Write(target);
        writer.Write(IsEngine); writer.Write(ControllingTerminal);
        writer.Write(Inheritable); writer.Write(Permitted); writer.Write(Effective); writer.Write(Ambient);
        writer.Flush();
        return stream.ToArray();
    }

    public static SpawnRequest Parse(byte[] bytes)
    {
        using BinaryReader reader = new(new MemoryStream(bytes), Encoding.UTF8);
        SpawnRequest request = new() { Path = reader.ReadString(), WorkingDirectory = reader.ReadString(), Arguments = ReadAll(reader), Environment = ReadAll(reader), Pid = reader.ReadInt32() };
        int targets = reader.ReadInt32();
        for (int i = 0; i < targets; i++) request.Targets.Add(reader.ReadInt32());
        request.IsEngine = reader.ReadBoolean();
        request.ControllingTerminal = reader.ReadBoolean();
        request.Inheritable = reader.ReadUInt64(); request.Permitted = reader.ReadUInt64();
        request.Effective = reader.ReadUInt64(); request.Ambient = reader.ReadUInt64();
        return request;
    }

    private static void WriteAll(BinaryWriter writer, List<string> strings)
    {
        writer.Write(strings.Count);
        foreach (string s in strings) writer.Write(s);
    }

    private static List<string> ReadAll(BinaryReader reader)
    {
        int count = reader.ReadInt32();
        List<string> strings = new(count);
        for (int i = 0; i < count; i++) strings.Add(reader.ReadString());
        return strings;
    }
}
