using TreCr.Linux;

namespace TreCr.Process.Readouts;

/// <summary>Init's side of <see cref="ReadoutProtocol"/>.</summary>
internal static class ReadoutServer
{
    /// <summary>Answers one request of an engine.</summary>
    /// <returns>false: the engine is gone</returns>
    public static bool Answer(int socket)
    {
        Span<byte> request = stackalloc byte[256];
        Span<int> descriptors = stackalloc int[Sys.MaxPassedDescriptors];
        long n = Sys.Receive(socket, request, descriptors, out int count);
        if (n <= 0) return false;
        byte number = request[1];
        (int Error, string Call) result = (Errno.EINVAL, "");
        try
        {
            void Taken() => Sys.Send(socket, [ReadoutProtocol.Taken, number]); // nobody there: goes on all the same
            ReadOnlySpan<byte> arguments = request[2..(int)n];
            if (count >= 2)
            {
                using MemoryStream into = new();
                switch (request[0])
                {
                    case ReadoutProtocol.Terminal: TerminalReadout.Run(descriptors[1], BitConverter.ToInt32(arguments), arguments[4] != 0, arguments[5..].ToArray(), into, Taken); break;
                    case ReadoutProtocol.MessageQueue: QueueReadout.Run(descriptors[1], into, Taken); break;
                    case ReadoutProtocol.TcpRoom: TcpRoom.Let(descriptors[1], descriptors[2], BitConverter.ToInt32(arguments), Taken); break;
                }
                Sys.WriteAt(descriptors[0], into.GetBuffer().AsSpan(0, (int)into.Length), 0);
                result = (0, "");
            }
        }
        catch (LinuxException e) { result = (e.ErrorNumber, e.Call); }
        foreach (int fd in descriptors[..count]) Sys.Close(fd);
        Sys.Send(socket, [ReadoutProtocol.Done, number, .. BitConverter.GetBytes(result.Error), .. System.Text.Encoding.UTF8.GetBytes(result.Call)]);
        return true;
    }
}
