namespace TreCr.Api.Gpi;

/// <summary>What a frame between a rank and the agent is. Numbers are BinaryWriter's, ranks 16 bits, texts length-prefixed UTF-8; an answer has the number of its request.</summary>
internal enum FrameKind : byte
{
    /// <summary>Rank: its rank and how many there are. Answered when all have come.</summary>
    Hello = 1,

    /// <summary>Rank: name, members, bytes. Answered when all members have given theirs, with what each gave, in the order of the members.</summary>
    Gather,

    /// <summary>Rank: name, with a descriptor: the agent keeps it, in place of one of the same name. Not answered.</summary>
    Keep,

    /// <summary>Rank: name. Answered with the descriptor.</summary>
    Fetch,

    /// <summary>Rank: beginning of names: what is kept under them is closed. Not answered.</summary>
    Drop,

    /// <summary>Rank: another rank, whose process is to be killed.</summary>
    Kill,

    /// <summary>Rank: name of a group (empty: it is a spare), members by place. Answered with the new group's name and members by place; no members: there is nothing to take over any more.</summary>
    Takeover,

    /// <summary>Rank: another rank, bytes, which that one gets as <see cref="Posted"/>. Not answered.</summary>
    Post,

    /// <summary>Rank: it leaves; its end is no death.</summary>
    Leave,

    /// <summary>Agent: an answer.</summary>
    Answer,

    /// <summary>Agent: why there is no other answer.</summary>
    Failure,

    /// <summary>Agent: a rank whose process has ended without leaving.</summary>
    Died,

    /// <summary>Agent: a rank that has left.</summary>
    Left,

    /// <summary>Agent: a name under which another descriptor is kept now, or none.</summary>
    Changed,

    /// <summary>Agent: a rank, and what it has posted.</summary>
    Posted,
}
