using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TreCr.SoftDevice.Streams;

/// <summary>Copies and fills. Addresses were checked when the item was made.</summary>
static unsafe class Transfer
{
    public static void Run(StreamItem item)
    {
        for (ulong row = 0; row < item.Height; row++)
        {
            byte* to = (byte*)(item.Destination + row * item.DestinationPitch);
            if (item.Kind == ItemKind.Copy) Buffer.MemoryCopy((byte*)(item.Source + row * item.SourcePitch), to, item.WidthBytes, item.WidthBytes);
            else Fill(to, item.WidthBytes, item.Value, item.ElementBytes);
        }
    }

    static void Fill(byte* to, ulong bytes, uint value, int elementBytes)
    {
        if (elementBytes == 1 || value == (value & 0xff) * 0x01010101u && elementBytes == 4) { NativeMemory.Fill(to, (nuint)bytes, (byte)value); return; }
        for (ulong done = 0; done < bytes;)
        {
            int n = (int)Math.Min(bytes - done, 1 << 28);
            if (elementBytes == 2) new Span<ushort>(to + done, n / 2).Fill((ushort)value);
            else new Span<uint>(to + done, n / 4).Fill(value);
            done += (ulong)n;
        }
    }
}
