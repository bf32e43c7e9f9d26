namespace TreCr.Api.Gpi;

/// <summary>A rank's connection, as the agent has it.</summary>
internal sealed class AgentPeer(FrameChannel channel, int pid)
{
    public FrameChannel Channel => channel;

    /// <summary>Process at the other end; 0: in a namespace that we do not see.</summary>
    public int Pid => pid;

    /// <summary>-1: it has not said it yet.</summary>
    public int Rank { get; set; } = -1;

    /// <summary>Number of its first request, which is answered when all ranks have come.</summary>
    public uint HelloId { get; set; }

    public bool HasLeft { get; set; }

    public void Answer(uint id, byte[] payload, int descriptor = -1) => channel.Enqueue(new Frame(FrameKind.Answer, id, payload, descriptor));

    public void Fail(uint id, GpiCode code, string reason) => channel.Enqueue(Frame.Of(FrameKind.Failure, id, w =>
    {
        w.Write((int)code);
        w.Write(reason);
    }));

    public void Tell(FrameKind kind, Action<BinaryWriter> write) => channel.Enqueue(Frame.Of(kind, 0, write));
}
