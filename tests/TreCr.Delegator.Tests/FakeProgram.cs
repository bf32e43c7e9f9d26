using System.Text;
using TreCr.Calls;
using TreCr.Calls.Cuda;
using TreCr.Calls.Records;
using TreCr.Delegator.Snapshot;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Ring;
using TreCr.SoftDevice.Backend;

namespace TreCr.Delegator.Tests;

/// <summary>The wrapper's side of a session, in the same process: what a program's calls become.</summary>
internal sealed unsafe class FakeProgram : IDisposable
{
    public const ulong Context = (0x11UL << 48) | 1;

    private readonly (int Ours, int Theirs) _connection = Sys.SocketPair();
    private Helper _helper;
    private ProducerChannel _channel;
    private Segment _segment;
    private readonly bool _inOther;

    /// <summary>A program whose delegator is another process.</summary>
    /// <param name="connection">stays the caller's</param>
    public FakeProgram(int segmentDescriptor, int connection)
    {
        _inOther = true;
        _segment = Segment.Map(segmentDescriptor, dontFork: false);
        if (_segment.Header->ChannelsUsed == 0) ProducerChannel.Claim(_segment, 1);
        _channel.Bind(_segment, 0, connection);
        _helper = new Helper(this);
    }

    public FakeProgram(Session? session = null)
    {
        if (session is null)
        {
            session = Session.Create(Backend, portable: false, out CUresult result, out string? error);
            if (session is null) throw new InvalidOperationException($"{result} {error}");
            session.Serve(Environment.ProcessId);
        }
        Session = session;
        _segment = Segment.Map(session.SegmentDescriptor, dontFork: false);
        if (_segment.Header->ChannelsUsed == 0) ProducerChannel.Claim(_segment, 1);
        _channel.Bind(_segment, 0, _connection.Ours);
        _helper = new Helper(this);
    }

    public static ICudaBackend Backend(IDeviceAllocator allocator) => new SoftBackend(allocator, workers: 2);

    public Session Session { get; private set; } = null!;

    public Segment Segment => _segment;

    /// <summary>Called by the helper thread for each host function (its user data).</summary>
    public Action<ulong>? OnHostFunction { get; set; }

    /// <summary>Retains the primary context of device 0.</summary>
    public FakeProgram Start()
    {
        Ask(0x0101, [1, 0]);
        return this;
    }

    /// <summary>Publishes a record that nobody waits for.</summary>
    /// <param name="payload">bytes of the argument with index <paramref name="payloadArgument"/></param>
    public void Enqueue(ushort call, ReadOnlySpan<ulong> words, int payloadArgument = -1, ReadOnlySpan<byte> payload = default, uint remote = 0)
        => _channel.Publish(Record(call, words, payloadArgument, payload, remote));

    /// <summary>Publishes a record and waits for its answer.</summary>
    /// <returns>result and answer words</returns>
    public (CUresult Result, ulong[] Answer) Try(ushort call, ReadOnlySpan<ulong> words, int payloadArgument = -1, ReadOnlySpan<byte> payload = default, uint remote = 0)
    {
        if (_channel.Call(Record(call, words, payloadArgument, payload, remote)) != WaitResult.Done) throw new InvalidOperationException("session dead");
        ChannelHeader* header = _channel.Header;
        ulong[] answer = new ulong[header->AnswerLengthBytes / 8];
        new ReadOnlySpan<ulong>((byte*)header + ChannelHeader.AnswerOffset, answer.Length).CopyTo(answer);
        return ((CUresult)header->AnswerResult, answer);
    }

    /// <summary>The same; anything but success is an error of the test.</summary>
    public ulong[] Ask(ushort call, ReadOnlySpan<ulong> words, int payloadArgument = -1, ReadOnlySpan<byte> payload = default, uint remote = 0)
    {
        (CUresult result, ulong[] answer) = Try(call, words, payloadArgument, payload, remote);
        return result == CUresult.CUDA_SUCCESS ? answer : throw new InvalidOperationException($"call 0x{call:x4}: {result}");
    }

    public ulong Allocate(ulong bytes) => Ask(0x0301, [1, bytes])[0];

    public ulong LoadModule(string ptx)
    {
        byte[] image = [.. Encoding.ASCII.GetBytes(ptx), 0];
        return Ask(0x0201, [1, 0, (ulong)image.Length], 1, image)[0];
    }

    public ulong Function(ulong module, string name) => Ask(0x0203, [1, 1, module, 0], 3, [.. Encoding.ASCII.GetBytes(name), 0])[0];

    public void Launch(ulong function, uint grid, uint block, ulong stream, params ulong[] parameters)
        => Enqueue(0x0601, [function, grid, 1, 1, block, 1, 1, 0, stream, 0, 0, (ulong)parameters.Length * 8], 10, System.Runtime.InteropServices.MemoryMarshal.AsBytes(parameters.AsSpan()));

    /// <summary>Bytes from this process, as a pageable source: inline where they are short, else fetched.</summary>
    public void ToDevice(ulong destination, byte[] bytes, ulong stream = 0)
    {
        if (bytes.Length <= RecordLimits.MaxInlineBytes)
        {
            Enqueue(0x0501, [destination, 0, (ulong)bytes.Length, stream], 1, bytes);
            return;
        }
        fixed (byte* p = bytes) Ask(0x0501, [destination, (ulong)p, (ulong)bytes.Length, stream], remote: 2);
    }

    public byte[] FromDevice(ulong source, int count, ulong stream = 0)
    {
        byte[] bytes = new byte[count];
        if (count <= 2048)
        {
            ulong[] words = Ask(0x0502, [1, source, (ulong)count, stream]);
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(words.AsSpan())[..count].CopyTo(bytes);
            return bytes;
        }
        fixed (byte* p = bytes) Ask(0x0502, [(ulong)p, source, (ulong)count, stream], remote: 1);
        return bytes;
    }

    public void Synchronize() => Ask(0x0108, []);

    /// <summary>Gate and capture, as a checkpoint does; the gate stays closed.</summary>
    /// <param name="ahead">what was begun while the program ran</param>
    public MemorySnapshot Capture(MemorySnapshot? parent = null, FrameHashes? known = null, FrameHashes? hashes = null, (MemorySnapshot Snapshot, Precopy Copied)? ahead = null)
    {
        if (!Session.Gate(TimeSpan.FromSeconds(60), out string? blocker)) throw new InvalidOperationException($"gate: {blocker}");
        MemorySnapshot snapshot = ahead?.Snapshot ?? new(parent);
        LastWritten = Session.Capture(snapshot, known, hashes ?? new FrameHashes(), ahead?.Copied);
        ahead?.Copied.EndCapture();
        return snapshot;
    }

    /// <summary>Bytes written by the last capture.</summary>
    public long LastWritten { get; private set; }

    /// <summary>The session is killed; a fresh one is made from the snapshot. The program goes on with its memory as it is.</summary>
    public void Restart(ISnapshotReader snapshot, FrameHashes? hashes = null)
    {
        _helper.End();
        _segment.Unmap();
        Session.Dispose();
        Session = Session.Restore(Backend, snapshot, hashes ?? new FrameHashes());
        _segment = Segment.Map(Session.SegmentDescriptor, dontFork: false);
        _channel.Bind(_segment, 0, _connection.Ours);
        _helper = new Helper(this);
        Session.Serve(Environment.ProcessId);
    }

    private RecordHeader* Record(ushort call, ReadOnlySpan<ulong> words, int payloadArgument, ReadOnlySpan<byte> payload, uint remote)
    {
        int head = RecordHeader.SizeBytes + 8 * words.Length, bytes = RecordHeader.Round(head + payload.Length);
        byte* at = _channel.Begin(bytes);
        RecordHeader.Write(at, bytes, call, Context, words.Length, remote, payload.Length);
        words.CopyTo(new Span<ulong>(at + RecordHeader.SizeBytes, words.Length));
        if (payloadArgument >= 0) ((ulong*)(at + RecordHeader.SizeBytes))[payloadArgument] = (ulong)head;
        payload.CopyTo(new Span<byte>(at + head, payload.Length));
        return (RecordHeader*)at;
    }

    /// <summary>The thread for host functions of one segment. It must have ended before that is unmapped, and each has its own word to end by.</summary>
    private sealed class Helper
    {
        private readonly FakeProgram _program;
        private readonly SegmentHeader* _header;
        private readonly Thread _thread;
        private volatile bool _stop;

        public Helper(FakeProgram program)
        {
            _program = program;
            _header = program._segment.Header;
            _thread = new Thread(Help) { IsBackground = true };
            _thread.Start();
        }

        public void End()
        {
            _stop = true;
            if (!_thread.Join(60_000)) throw new TimeoutException("a host function does not return");
        }

        private void Help()
        {
            while (!_stop)
            {
                uint done = _header->HostFunctionDone;
                if (Volatile.Read(ref _header->HostFunctionPosted) == done)
                {
                    Sys.FutexWait(&_header->HostFunctionPosted, done, 20_000_000);
                    continue;
                }
                _program.OnHostFunction?.Invoke(_header->HostFunctionUserData);
                Interlocked.Increment(ref _header->HostFunctionDone);
                Sys.FutexWake(&_header->HostFunctionDone);
            }
        }
    }

    public void Dispose()
    {
        _helper.End();
        if (!_inOther) Session.Dispose();
        _segment.Unmap();
        Sys.Close(_connection.Ours);
        Sys.Close(_connection.Theirs);
    }
}
