using System.Text;
using TreCr.Linux;
using TreCr.Process.Readouts;

namespace TreCr.Process.Engine;

/// <summary>The engine's side of <see cref="ReadoutProtocol"/>. Tracer thread only.</summary>
internal sealed class ReadoutClient
{
    private const int WaitMs = 10_000;
    private byte _number;

    public ReadoutClient() => Sys.Control(ReadoutProtocol.EngineDescriptor, Sys.F_SETFD, 1); // nothing that is started later inherits it

    /// <summary>Has init do one of <see cref="ReadoutProtocol"/>'s jobs.</summary>
    /// <returns>the result</returns>
    /// <exception cref="ProcessException">init could not; what it had taken out is in again</exception>
    public byte[] Ask(byte kind, ReadOnlySpan<byte> arguments, params ReadOnlySpan<int> objects)
    {
        int result = Sys.MemfdCreate("trecr-readout");
        try
        {
            long sent = Sys.Send(ReadoutProtocol.EngineDescriptor, [kind, ++_number, .. arguments], [result, .. objects]);
            if (sent < 0) throw new ProcessException($"init cannot be asked: {Errno.Describe((int)-sent)}");
            Exception? failed = null;
            Reached(FaultPoint.DumpReadoutAsked, ref failed);
            Span<byte> reply = stackalloc byte[256];
            Span<PollEntry> ready = [new PollEntry { Fd = ReadoutProtocol.EngineDescriptor, Events = Sys.POLLIN }];
            while (true)
            {
                if (Sys.Poll(ready, WaitMs) <= 0) throw new ProcessException($"init does not answer within {WaitMs / 1000} s");
                long n = Sys.Receive(ReadoutProtocol.EngineDescriptor, reply, default, out _);
                if (n < 2) throw new ProcessException("init is gone");
                if (reply[1] != _number) continue; // of a question that was given up
                // The program runs on when this fails: not before init has put everything back.
                if (reply[0] == ReadoutProtocol.Taken) Reached(FaultPoint.DumpReadoutTaken, ref failed);
                else
                {
                    if (failed is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failed);
                    int error = BitConverter.ToInt32(reply[2..]);
                    if (error != 0) throw new ProcessException($"contents of a kernel object cannot be read: {Encoding.UTF8.GetString(reply[6..(int)n])}: {Errno.Describe(error)}");
                    break;
                }
            }
            byte[] read = new byte[Sys.Status(result).LengthBytes];
            Sys.ReadAt(result, read, 0);
            return read;
        }
        finally { Sys.Close(result); }
    }

    private static void Reached(FaultPoint point, ref Exception? failed)
    {
        try { Fault.At(point); }
        catch (Exception e) { failed ??= e; }
    }
}
