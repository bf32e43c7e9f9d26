using System.Runtime.InteropServices;

namespace TreCr.Wrapper.Nccl;

/// <summary>ncclResult_t.</summary>
internal enum NcclResult { Success, UnhandledCudaError, SystemError, InternalError, InvalidArgument, InvalidUsage, RemoteError, InProgress }

/// <summary>ncclUniqueId: 128 bytes, by value.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct UniqueId
{
    public const ulong ThisMagic = 0x3144_4955_5243_4e54; // "TNCRUID1"

    public ulong Magic, TokenLow, TokenHigh, Host;
    private fixed ulong _rest[12];

    public readonly UInt128 Token => new(TokenHigh, TokenLow);
}

/// <summary>ncclConfig_t as far as it matters here; it has grown at its end with every version, and says how long it is.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct Config
{
    public const uint ThisMagic = 0xcafebeef;

    /// <summary>What an option holds that was not set.</summary>
    public const int Undefined = int.MinValue;

    public nuint Size;
    public uint Magic, Version;
    public int Blocking;
}

/// <summary>ncclSimInfo_t.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SimulationInfo
{
    public const uint ThisMagic = 0x74685283;

    public nuint Size;
    public uint Magic, Version;
    public float EstimatedTime;
}

/// <summary>What a call answers instead of success.</summary>
internal sealed class NcclException(NcclResult result, string message) : Exception(message)
{
    public NcclResult Result => result;
}
