using TreCr.Images;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>
/// One kind of open file description: how it is told, what of it cannot be saved, how it is saved and made again. One file each, listed in <see cref="OpenFileKinds"/>.
/// </summary>
/// <remarks>
/// Descriptions, not descriptors: what dup, fork and passed descriptors share is captured once and made once. At a restore the engine itself opens every description
/// (<see cref="Open"/>), all processes take theirs from it by pidfd_getfd, and the engine closes its own before the program runs. What
/// belongs to a process or its numbers (epoll's targets, record locks) is done in <see cref="Place"/>. Instances are stateless.
/// </remarks>
internal abstract class OpenFileKind
{
    public abstract DescriptorKind Kind { get; }

    /// <summary>Whether the descriptor is of this kind. Kinds are asked in the order of the list, the first that says yes has it.</summary>
    public abstract bool Owns(OpenDescriptor descriptor, ExternalObjects externals);

    /// <summary>Says what cannot be saved. Reads only; the tree may be running.</summary>
    /// <param name="uses">all descriptors of this kind in the tree, by process and number; the same description can stand there several times</param>
    public virtual void Check(IReadOnlyList<OpenDescriptor> uses, TreeCheck check) { }

    /// <summary>Saves one description. The tree is frozen; kind, link, flags and position are filled in already.</summary>
    /// <param name="descriptor">one that refers to it</param>
    public virtual void Capture(OpenDescriptor descriptor, OpenFileImage to, OpenFileTable table) { }

    /// <summary>Why it cannot be made here. Reads only, before anything is touched.</summary>
    public virtual IEnumerable<string> CheckRestore(OpenFileImage image, SavedTree tree) => [];

    /// <summary>Whether it can be made only when the processes exist.</summary>
    public virtual bool NeedsProcesses => false;

    /// <summary>
    /// Makes the description in this process and gives it to <see cref="OpenFileRestore.Set"/>; may make its peers as well (the other end of a pipe), which are then not asked for.
    /// </summary>
    public abstract void Open(OpenFileImage image, OpenFileRestore files);

    /// <summary>In this process, when all descriptions are open and memory is filled and mapped: contents that name other descriptions, seals.</summary>
    public virtual void Finish(OpenFileImage image, OpenFileRestore files) { }

    /// <summary>Adds calls of the process that has the description under this number, when all its descriptors stand at their numbers.</summary>
    public virtual void Place(OpenFileImage image, DescriptorImage descriptor, ProcessImage process, RemoteBatch batch) { }
}
