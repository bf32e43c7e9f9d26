using System.Runtime.InteropServices;
using TreCr.Calls.Cuda;
using TreCr.Linux;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>
/// The answer that NVIDIA's runtime library (11.8 and later) wants from the driver when it starts: a keyed digest over facts that both sides know. Without it no
/// program linked with that library runs on any other implementation of the driver API. Sources, purpose and limits: docs/interoperability.md.
/// </summary>
internal static unsafe class Handshake
{
    private const int PciBus = 33, PciDevice = 34, PciDomain = 50, DeviceBytes = 28, HeadBytes = 48;

    private static ReadOnlySpan<byte> Key => [0x14, 0x6A, 0xDD, 0xAE, 0x53, 0xA9, 0xA7, 0x52, 0xAA, 0x08, 0x41, 0x36, 0x0B, 0xF5, 0x5A, 0x9F];

    /// <summary>Slot 1 of the table.</summary>
    /// <param name="version">runtime's version and, in its last digit, which answer it wants: 0 and 1 fixed pairs, else the digest</param>
    /// <param name="time">seconds since 1970, chosen by the runtime</param>
    /// <param name="answer">[2]</param>
    [UnmanagedCallersOnly]
    internal static CUresult Answer(uint version, ulong time, ulong* answer)
    {
        CUresult ready = Session.Ready;
        if (ready != CUresult.CUDA_SUCCESS) return ready;
        if (answer == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        if (version % 10 < 2)
        {
            answer[0] = version % 10 == 0 ? 0x3341181C03CB675CUL : 0x1841181C03CB675CUL;
            answer[1] = 0x8ED383AA1F4CD1E8;
            return CUresult.CUDA_SUCCESS;
        }
        Span<byte> message = stackalloc byte[HeadBytes + DeviceBytes * Ring.SegmentLayout.MaxDevices];
        (nint runtimeTable, nint integrityTable, nint function) = ExportTables.CheckedAddresses;
        Head(message, Devices.DriverVersion, version, (int)Sys.RawShort(SyscallNumber.Getpid), Sys.PthreadSelf(), (ulong)runtimeTable, (ulong)integrityTable, (ulong)function, time);
        int length = HeadBytes;
        for (int i = 0; i < Devices.Count; i++, length += DeviceBytes)
            Device(message[length..], new ReadOnlySpan<byte>(Devices.Facts(i)->Uuid.Bytes, 16), Devices.Attribute(i, PciDomain), Devices.Attribute(i, PciBus), Devices.Attribute(i, PciDevice));
        Span<byte> digest = stackalloc byte[16];
        Md2.Keyed(Key, message[..length], digest);
        answer[0] = MemoryMarshal.Read<ulong>(digest);
        answer[1] = MemoryMarshal.Read<ulong>(digest[8..]);
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>First part of the message: 48 bytes, little endian, packed.</summary>
    internal static void Head(Span<byte> into, int driverVersion, uint version, int pid, ulong thread, ulong runtimeTable, ulong integrityTable, ulong function, ulong time)
    {
        MemoryMarshal.Write(into, driverVersion);
        MemoryMarshal.Write(into[4..], version);
        MemoryMarshal.Write(into[8..], pid);
        MemoryMarshal.Write(into[12..], (uint)thread);
        MemoryMarshal.Write(into[16..], runtimeTable);
        MemoryMarshal.Write(into[24..], integrityTable);
        MemoryMarshal.Write(into[32..], function);
        MemoryMarshal.Write(into[40..], time);
    }

    /// <summary>The part for one device: 28 bytes.</summary>
    internal static void Device(Span<byte> into, ReadOnlySpan<byte> uuid, int domain, int bus, int device)
    {
        uuid.CopyTo(into);
        MemoryMarshal.Write(into[16..], domain);
        MemoryMarshal.Write(into[20..], bus);
        MemoryMarshal.Write(into[24..], device);
    }

    /// <summary>For the test with published numbers.</summary>
    internal static void Digest(ReadOnlySpan<byte> message, Span<byte> digest) => Md2.Keyed(Key, message, digest);
}
