using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>What waits in a socket to be received: looked at without taking it out, and put in again by its sender.</summary>
internal static unsafe class SocketMessages
{
    private const int SOL_SOCKET = 1, SO_PEEK_OFF = 42, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2;
    private const int MSG_PEEK = 2, MSG_DONTWAIT = 0x40, MSG_TRUNC = 0x20, MSG_CMSG_CLOEXEC = 0x40000000;
    private const int MaxBytes = 16 << 20, ControlBytes = 2048;

    /// <summary>Adds all messages of a socket.</summary>
    /// <param name="fd">a copy in this process</param>
    /// <param name="ended">no more can come: 0 bytes are the end, not an empty message</param>
    /// <exception cref="RefusedException">a descriptor under way is of a kind that cannot be saved</exception>
    public static void Capture(int fd, SocketImage to, bool ended, OpenFileTable table)
    {
        bool stream = to.Type == Sys.SOCK_STREAM;
        int waiting = Sys.BytesToRead(fd);
        if (stream && waiting == 0) return;
        byte[] data = new byte[stream ? Math.Max(waiting, 1) : Math.Max(waiting, 1 << 20)];
        int before = Sys.GetOption(fd, SOL_SOCKET, SO_PEEK_OFF, otherwise: -1);
        // One look is enough for a stream of bytes alone; more need an offset for looking, which the program may use itself.
        if (stream && before < 0 && Look(fd, data, to, table, keep: false) == waiting)
        {
            Look(fd, data, to, table, keep: true);
            return;
        }
        Sys.SetOption(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
        try
        {
            for (int total = 0; total < MaxBytes;)
            {
                int n = Look(fd, data, to, table, keep: true, ended);
                if (n < 0 || n == 0 && (stream || ended)) break;
                total += n + 1;
            }
        }
        finally { Sys.SetOption(fd, SOL_SOCKET, SO_PEEK_OFF, before); }
    }

    /// <summary>Copies of the descriptors that wait in a Unix socket; the caller closes them.</summary>
    /// <param name="frozen">false: only its first message is looked at, because looking further needs an offset that the running program could meet</param>
    public static List<int> Passed(OpenDescriptor d, bool frozen)
    {
        List<int> passed = [];
        if (d.SocketDomain != Sys.AF_UNIX || d.TryBorrow() is not (var fd and >= 0)) return passed;
        int before = Sys.GetOption(fd, SOL_SOCKET, SO_PEEK_OFF, otherwise: -1);
        if (frozen) Sys.SetOption(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
        byte[] data = new byte[1 << 16];
        Span<byte> control = stackalloc byte[ControlBytes];
        for (int looks = 0; looks < (frozen ? 100_000 : 1); looks++)
        {
            long n = Sys.ReceiveMessage(fd, data, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC, default, out _, control, out int controlBytes, out _);
            if (n < 0 || n == 0 && controlBytes == 0) break;
            for (int at = 0; at + 16 <= controlBytes;)
            {
                int length = (int)BitConverter.ToUInt64(control[at..]);
                if (length < 16) break;
                if (BitConverter.ToInt32(control[(at + 8)..]) == SOL_SOCKET && BitConverter.ToInt32(control[(at + 12)..]) == SCM_RIGHTS)
                    for (int i = 16; i + 4 <= length; i += 4) passed.Add(BitConverter.ToInt32(control[(at + i)..]));
                at += length + 7 & ~7;
            }
        }
        if (frozen) Sys.SetOption(fd, SOL_SOCKET, SO_PEEK_OFF, before);
        Sys.Close(fd);
        return passed;
    }

    private static int Look(int fd, byte[] data, SocketImage to, OpenFileTable table, bool keep, bool ended = false)
    {
        Span<byte> source = stackalloc byte[128], control = stackalloc byte[ControlBytes];
        long n = Sys.ReceiveMessage(fd, data, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC, source, out int sourceBytes, control, out int controlBytes, out int flags);
        if (n is -Errno.EAGAIN or -Errno.ENOTCONN || n < 0) return -1;
        if ((flags & MSG_TRUNC) != 0) throw new RefusedException(["a message in a socket is longer than 1 MiB"]);
        if (n == 0 && ended) return 0;
        MessageImage message = new() { Data = ByteString.CopyFrom(data, 0, (int)n), Source = ByteString.CopyFrom(source[..Math.Min(sourceBytes, 128)]) };
        for (int at = 0; at + 16 <= controlBytes;)
        {
            int length = (int)BitConverter.ToUInt64(control[at..]), level = BitConverter.ToInt32(control[(at + 8)..]), type = BitConverter.ToInt32(control[(at + 12)..]);
            if (length < 16) break;
            if (level == SOL_SOCKET && type == SCM_RIGHTS)
                for (int i = 16; i + 4 <= length; i += 4) Note(BitConverter.ToInt32(control[(at + i)..]), message, table, keep);
            else if (level == SOL_SOCKET && type == SCM_CREDENTIALS) message.Credentials = ByteString.CopyFrom(control.Slice(at + 16, Math.Min(12, length - 16)));
            at += length + 7 & ~7;
        }
        if (keep) to.Messages.Add(message);
        return (int)n;
    }

    /// <summary>A descriptor that is under way: looking at it made a copy here.</summary>
    private static void Note(int fd, MessageImage message, OpenFileTable table, bool keep)
    {
        if (!keep) Sys.Close(fd);
        else
        {
            table.Keep(fd);
            uint id = table.Note(OpenDescriptor.Read(Environment.ProcessId, fd));
            if (table.Tree.OpenFiles[(int)id - 1].Kind == (uint)DescriptorKind.Refused) throw new RefusedException([$"a descriptor that is being passed through a socket cannot be saved ({table.Tree.OpenFiles[(int)id - 1].Link})"]);
            message.Descriptors.Add(id);
        }
    }

    /// <summary>Sends a saved message again.</summary>
    /// <param name="sender">socket of this process</param>
    /// <param name="target">struct sockaddr; empty: the connected peer</param>
    /// <param name="descriptor">gives this process's descriptor of a description</param>
    public static void Send(int sender, MessageImage message, ReadOnlySpan<byte> target, Func<uint, int> descriptor, string what)
    {
        byte[] control = new byte[64 + 4 * message.Descriptors.Count];
        int used = 0;
        if (message.Descriptors.Count > 0) used = Header(control, used, SCM_RIGHTS, message.Descriptors.SelectMany(id => BitConverter.GetBytes(descriptor(id))).ToArray());
        int plain = used;
        if (message.Credentials.Length == 12) used = Header(control, used, SCM_CREDENTIALS, message.Credentials.ToByteArray());
        ReadOnlySpan<byte> data = message.Data.Span;
        do
        {
            long n = Sys.SendMessage(sender, data, target, control.AsSpan(0, used), MSG_DONTWAIT);
            // The sender's process is not there any more: the message then comes from this one.
            if (n is -Errno.ESRCH or -Errno.EPERM && used != plain) n = Sys.SendMessage(sender, data, target, control.AsSpan(0, used = plain), MSG_DONTWAIT);
            Sys.Check(n, "send", what);
            data = data[(int)n..];
            used = 0;
        }
        while (data.Length > 0);
    }

    private static int Header(byte[] control, int at, int type, byte[] value)
    {
        BitConverter.TryWriteBytes(control.AsSpan(at), (ulong)(16 + value.Length));
        BitConverter.TryWriteBytes(control.AsSpan(at + 8), SOL_SOCKET);
        BitConverter.TryWriteBytes(control.AsSpan(at + 12), type);
        value.CopyTo(control, at + 16);
        return at + 16 + value.Length + 7 & ~7;
    }
}
