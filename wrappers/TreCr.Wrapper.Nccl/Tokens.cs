using System.Security.Cryptography;
using TreCr.Linux;

namespace TreCr.Wrapper.Nccl;

/// <summary>What communicators are known by: 128 random bits, or bits that follow from a communicator's for those made out of it.</summary>
internal static unsafe class Tokens
{
    private static readonly HashSet<(UInt128, uint)> s_used = [];

    public static UInt128 New()
    {
        Span<byte> bytes = stackalloc byte[16];
        fixed (byte* p = bytes) Sys.Check(Sys.Raw(SyscallNumber.Getrandom, (long)p, bytes.Length, 0), "getrandom");
        return BitConverter.ToUInt128(bytes);
    }

    /// <summary>The same for all members of the new one, and for no other.</summary>
    public static UInt128 Child(UInt128 parent, uint number, params ReadOnlySpan<uint> which)
    {
        byte[] bytes = [.. BitConverter.GetBytes(parent), .. BitConverter.GetBytes(number), .. System.Runtime.InteropServices.MemoryMarshal.AsBytes(which)];
        return BitConverter.ToUInt128(SHA256.HashData(bytes));
    }

    /// <summary>A rank joins by a token once.</summary>
    public static void Use(UInt128 token, uint rank)
    {
        lock (s_used)
            if (!s_used.Add((token, rank))) throw new NcclException(NcclResult.InvalidUsage, $"rank {rank} has used this unique id before: each makes one communicator");
    }
}
