namespace TreCr.Process.Engine;

/// <summary>A dump or a restore failed. The program runs on unharmed, or nothing of the restored one is left.</summary>
/// <param name="message">names the step and the thread, descriptor or area</param>
public class ProcessException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// A thread could not be stopped now: it waits in the kernel for its vfork child or for a device, or its process is ending. It is still attached, and would stop for ever once it
/// comes back: the tracer thread has to be replaced, whose end detaches everything.
/// </summary>
internal sealed class NotStoppedException(string message) : ProcessException(message);

/// <summary>The process is gone.</summary>
public sealed class ProcessEndedException(string message) : ProcessException(message);

/// <summary>The process, or an image of it, holds something that cannot be saved or restored here. Nothing was touched.</summary>
/// <param name="findings">all of them, one line each</param>
public sealed class RefusedException(IReadOnlyList<string> findings) : Exception(string.Join("\n", findings))
{
    public IReadOnlyList<string> Findings => findings;
}
