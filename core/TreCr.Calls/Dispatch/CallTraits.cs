namespace TreCr.Calls.Dispatch;

/// <summary>What one must know of a call before (or without) running it. From the declarations: <see cref="CallTables"/>.</summary>
/// <param name="StreamArgument">index of the argument that names the stream whose order the call keeps; -1: none</param>
/// <param name="CreatesKind">kind of the object it brings; None also for memory, see <paramref name="Creates"/></param>
public sealed record CallTraits(string Name, Library Library, ushort Id, CallClass Class, int ArgumentCount, int StreamArgument, bool Creates, bool Destroys, bool Logged,
    HandleKind CreatesKind, HandleKind DestroysKind);
