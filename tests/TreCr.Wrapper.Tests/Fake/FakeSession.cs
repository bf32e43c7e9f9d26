using System.Runtime.InteropServices;
using TreCr.Calls;
using TreCr.Calls.Dispatch;
using TreCr.Calls.Records;
using TreCr.Linux;

namespace TreCr.Wrapper.Tests.Fake;

/// <summary>Handles and memory as a delegator would keep them, with notes of what was logged.</summary>
internal sealed unsafe class FakeSession(int pid) : IDispatchSession
{
    private readonly Dictionary<ulong, ulong> _real = [];
    private readonly List<nint> _buffers = [];
    private ulong _next = VirtualHandle.FirstSerial;

    public List<string> Log { get; } = [];

    public ulong ExpectedHandle { get; set; }

    public bool TryTranslate(HandleKind kind, ulong virtualHandle, out ulong real)
    {
        real = virtualHandle;
        if (kind == HandleKind.Stream && virtualHandle <= 2) return true;
        if (kind == HandleKind.Context && VirtualHandle.SerialOf(virtualHandle) < VirtualHandle.FirstSerial && VirtualHandle.KindOf(virtualHandle) == kind) return true;
        return VirtualHandle.KindOf(virtualHandle) == kind && _real.TryGetValue(virtualHandle, out real);
    }

    public ulong Register(RecordHeader* record, HandleKind kind, ulong real)
    {
        ulong handle = ExpectedHandle != 0 ? ExpectedHandle : VirtualHandle.Make(kind, _next++);
        _real[handle] = real;
        return handle;
    }

    public void Unregister(HandleKind kind, ulong virtualHandle) => _real.Remove(virtualHandle);

    public byte* Fetch(int argument, ulong programAddress, nuint bytes)
    {
        byte* buffer = Scratch(bytes);
        return Sys.ProcessVmRead(pid, programAddress, buffer, (long)bytes) == (long)bytes ? buffer : null;
    }

    public byte* Scratch(nuint bytes)
    {
        if (bytes > 1 << 28) return null;
        byte* buffer = (byte*)NativeMemory.Alloc(bytes + 8);
        _buffers.Add((nint)buffer);
        return buffer;
    }

    public bool Deliver(ulong programAddress, byte* from, nuint bytes) => Sys.ProcessVmWrite(pid, programAddress, from, (long)bytes) == (long)bytes;

    public void LogCreate(RecordHeader* record, HandleKind kind, ulong handle, ref AnswerWriter answer) => Log.Add($"+{CallTables.NameOf(record->Library, record->Call)}");

    public void LogDestroy(RecordHeader* record, HandleKind kind, ulong handle) => Log.Add($"-{CallTables.NameOf(record->Library, record->Call)}");

    public void LogSetting(RecordHeader* record) => Log.Add($"={CallTables.NameOf(record->Library, record->Call)}");

    public void Malformed(RecordHeader* record, string reason) => Log.Add($"malformed {CallTables.NameOf(record->Library, record->Call)}: {reason}");

    /// <summary>The call has been answered: its buffers go.</summary>
    public void EndCall()
    {
        foreach (nint buffer in _buffers) NativeMemory.Free((void*)buffer);
        _buffers.Clear();
    }
}
