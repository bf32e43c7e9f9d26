using System.Numerics;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Engine;

/// <summary>
/// malloc and free of kernels. A module that declares them has a heap in device memory of its own, of the size that CU_LIMIT_MALLOC_HEAP_SIZE had when it was loaded. All that the heap knows lies in
/// that memory, so that it is saved with it. Blocks are powers of two with a header of 16 bytes; free ones stand in a list for each size.
/// </summary>
/// <remarks>A kernel can write anywhere in it: links and headers are looked at before they are used.</remarks>
static unsafe class DeviceHeap
{
    const ulong BlockMagic = 0x6b6c42724365_0000, FreeMagic = 0x656572467243_0000;
    const int FirstClass = 5, Classes = 40, HeaderBytes = 16, HeadBytes = 512;
    static readonly Lock Gate = new();

    struct Head
    {
        public ulong Bytes, Top;
        public fixed ulong Free[Classes];
    }

    public static void Begin(ulong heap, ulong bytes)
    {
        Head* h = (Head*)heap;
        *h = default;
        h->Bytes = bytes;
        h->Top = HeadBytes;
    }

    /// <returns>address, a multiple of 16; 0: nothing was asked for, or there is no room</returns>
    public static ulong Allocate(ulong heap, ulong bytes)
    {
        if (bytes == 0 || bytes > 1UL << 36) return 0;
        int k = Math.Max(FirstClass, BitOperations.Log2(BitOperations.RoundUpToPowerOf2(bytes + HeaderBytes)));
        Head* h = (Head*)heap;
        lock (Gate)
        {
            ulong at = h->Free[k];
            if (at != 0 && IsBlock(h, at, k) && *(ulong*)(heap + at) == (FreeMagic | (uint)k)) h->Free[k] = *(ulong*)(heap + at + HeaderBytes);
            else
            {
                at = h->Top;
                if (at < HeadBytes || at > h->Bytes || h->Bytes - at < 1UL << k || !PageTable.IsAccessible(heap + at, 1UL << k, true)) return 0;
                h->Top = at + (1UL << k);
            }
            *(ulong*)(heap + at) = BlockMagic | (uint)k;
            return heap + at + HeaderBytes;
        }
    }

    /// <exception cref="DeviceFaultException">700: not an address that malloc gave, or freed already.</exception>
    public static void Free(int thread, ulong heap, ulong address)
    {
        if (address == 0) return;
        Head* h = (Head*)heap;
        lock (Gate)
        {
            ulong at = address - HeaderBytes - heap;
            int k = at < h->Bytes && PageTable.IsAccessible(heap + at, HeaderBytes, true) ? (int)(*(ulong*)(heap + at) & 0xffff) : 0;
            if (k is < FirstClass or >= Classes || !IsBlock(h, at, k) || *(ulong*)(heap + at) != (BlockMagic | (uint)k)) throw new DeviceFaultException(700, "free of an address that malloc did not give", address, thread);
            *(ulong*)(heap + at) = FreeMagic | (uint)k;
            *(ulong*)(heap + at + HeaderBytes) = h->Free[k];
            h->Free[k] = at;
        }
    }

    static bool IsBlock(Head* h, ulong at, int k) => at % HeaderBytes == 0 && at >= HeadBytes && at < h->Top && h->Top - at >= 1UL << k && PageTable.IsAccessible((ulong)h + at, 1UL << k, true);
}
