using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TreCr.Ptx.Container;

namespace TreCr.Ptx.Tests;

public sealed class ContainerTests
{
    /// <summary>A plain greedy LZ4 block encoder.</summary>
    static byte[] Lz4(byte[] data)
    {
        List<byte> o = [];
        int anchor = 0, at = 0;
        void Length(int n) { for (; n >= 255; n -= 255) o.Add(255); o.Add((byte)n); }
        void Sequence(int literals, int distance, int match)
        {
            o.Add((byte)(Math.Min(literals, 15) << 4 | (match == 0 ? 0 : Math.Min(match - 4, 15))));
            if (literals >= 15) Length(literals - 15);
            o.AddRange(data.AsSpan(anchor, literals).ToArray());
            if (match == 0) return;
            o.Add((byte)distance);
            o.Add((byte)(distance >> 8));
            if (match - 4 >= 15) Length(match - 4 - 15);
        }
        Dictionary<uint, int> seen = [];
        while (at + 12 < data.Length)
        {
            uint key = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(at));
            bool found = seen.TryGetValue(key, out int before) && at - before < 65536;
            seen[key] = at;
            if (!found) { at++; continue; }
            int n = 4;
            while (at + n < data.Length - 5 && data[before + n] == data[at + n]) n++;
            Sequence(at - anchor, at - before, n);
            anchor = at += n;
        }
        Sequence(data.Length - anchor, 0, 0);
        return [.. o];
    }

    static byte[] Fatbin(params (int Kind, int Sm, ulong Flags, byte[] Payload, int Expanded)[] entries)
    {
        using MemoryStream body = new();
        foreach ((int kind, int sm, ulong flags, byte[] payload, int expanded) in entries)
        {
            byte[] e = new byte[64 + (payload.Length + 7 & ~7)];
            BinaryPrimitives.WriteUInt16LittleEndian(e, (ushort)kind);
            BinaryPrimitives.WriteUInt32LittleEndian(e.AsSpan(4), 64);
            BinaryPrimitives.WriteUInt64LittleEndian(e.AsSpan(8), (ulong)(payload.Length + 7 & ~7));
            if (expanded > 0) BinaryPrimitives.WriteUInt32LittleEndian(e.AsSpan(16), (uint)payload.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(e.AsSpan(28), (uint)sm);
            BinaryPrimitives.WriteUInt64LittleEndian(e.AsSpan(40), flags);
            BinaryPrimitives.WriteUInt64LittleEndian(e.AsSpan(56), (ulong)expanded);
            payload.CopyTo(e, 64);
            body.Write(e);
        }
        byte[] all = new byte[16 + body.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(all, Container.Fatbin.Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(all.AsSpan(4), 1);
        BinaryPrimitives.WriteUInt16LittleEndian(all.AsSpan(6), 16);
        BinaryPrimitives.WriteUInt64LittleEndian(all.AsSpan(8), (ulong)body.Length);
        body.ToArray().CopyTo(all, 16);
        return all;
    }

    static byte[] Text(string s) => Encoding.ASCII.GetBytes(s);

    [Test]
    public void Lz4BlocksRoundTrip()
    {
        Random random = new(1);
        for (int n = 0; n < 60; n++)
        {
            byte[] data = new byte[random.Next(0, 5000)];
            for (int i = 0; i < data.Length; i++) data[i] = i > 20 && random.Next(4) > 0 ? data[i - random.Next(1, 20)] : (byte)random.Next(256);
            byte[] back = new byte[data.Length];
            Assert.That(Lz4Block.Decode(Lz4(data), back), Is.EqualTo(data.Length));
            Assert.That(back, Is.EqualTo(data));
        }
    }

    [Test]
    public void DamagedLz4NeverLeavesItsBuffers()
    {
        Random random = new(2);
        byte[] data = Text(string.Concat(Enumerable.Repeat("mov.u32 %r1, %tid.x; ", 100))), packed = Lz4(data), target = new byte[data.Length];
        for (int n = 0; n < 5000; n++)
        {
            byte[] bad = (byte[])packed.Clone();
            for (int k = random.Next(1, 4); k > 0; k--) bad[random.Next(bad.Length)] = (byte)random.Next(256);
            Assert.That(Lz4Block.Decode(bad.AsSpan(0, random.Next(bad.Length + 1)), target), Is.InRange(-1, target.Length));
        }
    }

    [Test]
    public void HighestPtxNotAboveTheDeviceIsChosen()
    {
        byte[] big = Text(string.Concat(Enumerable.Repeat("ptx 90 ", 50)));
        byte[] image = Fatbin((1, 52, 0, Text("ptx 52"), 0), (2, 90, 0, Text("elf 90"), 0), (1, 90, 0x2000, Lz4(big), big.Length), (1, 95, 0x100000, Text("ptx 95a"), 0), (1, 120, 0, Text("ptx 120"), 0));
        Assert.That(Container.Fatbin.SelectPtx(image, 100), Is.EqualTo(big));
        Assert.That(Container.Fatbin.SelectPtx(image, 89), Is.EqualTo(Text("ptx 52")));
        Assert.That(Container.Fatbin.SelectPtx(image, 120), Is.EqualTo(Text("ptx 120")));
        Assert.That(Assert.Throws<PtxException>(() => Container.Fatbin.SelectPtx(image, 50))!.CudaError, Is.EqualTo(209));
        Assert.That(Container.Fatbin.LengthBytes(image), Is.EqualTo(image.Length));
    }

    [Test]
    public void MachineCodeOnlyAndZstdAreRefusedByName()
    {
        PtxException e = Assert.Throws<PtxException>(() => Container.Fatbin.SelectPtx(Fatbin((2, 90, 0, Text("elf"), 0)), 100))!;
        Assert.That(e.CudaError, Is.EqualTo(209));
        Assert.That(e.Message, Does.Contain("machine code"));
        byte[] zstd = Fatbin((1, 90, 0x8000, [0x28, 0xB5, 0x2F, 0xFD, 1, 2, 3], 5));
        e = Assert.Throws<PtxException>(() => Container.Fatbin.SelectPtx(zstd, 100))!;
        Assert.That(e.Message, Does.Contain("zstd"));
        Assert.That(Container.Fatbin.SelectPtx(zstd, 100, (source, target) => { "hello"u8.CopyTo(target); return 5; }), Is.EqualTo(Text("hello")));
    }

    [Test]
    public void DamagedFatbinsAreRefused()
    {
        Random random = new(3);
        byte[] big = Text(string.Concat(Enumerable.Repeat("ptx 90 ", 50)));
        byte[] image = Fatbin((1, 52, 0, Text("ptx 52"), 0), (1, 90, 0x2000, Lz4(big), big.Length));
        for (int n = 0; n < 5000; n++)
        {
            byte[] bad = (byte[])image.Clone();
            for (int k = random.Next(1, 4); k > 0; k--) bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
            try { Container.Fatbin.SelectPtx(bad.AsSpan(0, random.Next(bad.Length + 1)), 100); }
            catch (PtxException) { }
        }
    }
}
