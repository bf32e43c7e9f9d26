using TreCr.Linux;

namespace TreCr.Process.Readouts;

/// <summary>A POSIX message queue can only be taken out and put in again, in its order. Source: mq_overview(7).</summary>
internal static unsafe class QueueReadout
{
    private const int HeaderBytes = 8;

    /// <summary>Takes all messages out, writes them down and puts them back.</summary>
    /// <param name="taken">called while they are out</param>
    /// <exception cref="LinuxException">as mq_receive(3); what was out is in again</exception>
    public static void Run(int queue, MemoryStream into, Action taken)
    {
        long* attributes = stackalloc long[8]; // struct mq_attr: flags, maxmsg, msgsize, curmsgs
        Sys.Check(Sys.Raw(SyscallNumber.MqGetsetattr, queue, 0, (long)attributes), "mq_getattr");
        byte[] message = new byte[HeaderBytes + Math.Max(1, attributes[2])];
        try
        {
            fixed (byte* p = message)
                for (long left = attributes[3]; left > 0; left--)
                {
                    int length = (int)Sys.Check(Sys.Raw(SyscallNumber.MqTimedreceive, queue, (long)(p + HeaderBytes), message.Length - HeaderBytes, (long)p, 0), "mq_receive");
                    *(int*)(p + 4) = length;
                    into.Write(message, 0, HeaderBytes + length);
                }
            if (into.Length > 0) taken();
        }
        finally
        {
            foreach (var (priority, start, length) in Messages(into.GetBuffer().AsMemory(0, (int)into.Length))) Send(queue, priority, into.GetBuffer().AsSpan(start, length));
        }
    }

    /// <summary>Where messages lie in what <see cref="Run"/> wrote.</summary>
    public static List<(uint Priority, int Start, int Length)> Messages(ReadOnlyMemory<byte> written)
    {
        List<(uint, int, int)> all = [];
        for (int at = 0; at < written.Length;)
        {
            int length = BitConverter.ToInt32(written.Span[(at + 4)..]);
            all.Add((BitConverter.ToUInt32(written.Span[at..]), at + HeaderBytes, length));
            at += HeaderBytes + length;
        }
        return all;
    }

    /// <exception cref="LinuxException">EAGAIN: the queue is full …</exception>
    public static void Send(int queue, uint priority, ReadOnlySpan<byte> data)
    {
        byte none;
        fixed (byte* p = data) Sys.Check(Sys.Raw(SyscallNumber.MqTimedsend, queue, (long)(p is null ? &none : p), data.Length, priority, 0), "mq_send");
    }
}
