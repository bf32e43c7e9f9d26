using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace TreCr.Api.Scr;

/// <summary>A tree of names, the format of SCR's own files (KVTree): a value is a name without children. Written with a CRC-32 and replaced in one step.</summary>
/// <remarks>Big-endian: magic, type, version, length, flags; then for each tree the number of its names, and name, NUL, tree. Source: facts/api.md §2.4.</remarks>
public sealed class KvTree
{
    private const uint Magic = 0x951fc3f5, HasCrc = 1;
    private const ushort TypeAndVersion = 1;
    private const int HeaderBytes = 20, MaxDepth = 64;

    private readonly SortedDictionary<string, KvTree> _children = new(StringComparer.Ordinal);

    /// <summary>The child of a name, made where there is none.</summary>
    public KvTree this[string name] => _children.TryGetValue(name, out KvTree? child) ? child : _children[name] = new KvTree();

    /// <inheritdoc cref="this[string]"/>
    public KvTree this[long name] => this[name.ToString(CultureInfo.InvariantCulture)];

    /// <summary>Its names, in the order of their characters.</summary>
    public IEnumerable<string> Names => _children.Keys;

    /// <summary>Its names that are numbers, the lowest first.</summary>
    public IEnumerable<int> Numbers => _children.Keys.Select(n => int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1).Where(n => n >= 0).Order();

    /// <returns>null: there is none</returns>
    public KvTree? Find(string name) => _children.GetValueOrDefault(name);

    /// <inheritdoc cref="Find(string)"/>
    public KvTree? Find(long name) => Find(name.ToString(CultureInfo.InvariantCulture));

    /// <summary>The value below a name.</summary>
    public string? Value(string name) => Find(name)?._children.Keys.FirstOrDefault();

    /// <summary>The number below a name.</summary>
    public long? Number(string name) => long.TryParse(Value(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;

    /// <summary>Gives a name one value.</summary>
    public void Set(string name, string value)
    {
        _children.Remove(name);
        _ = this[name][value];
    }

    /// <inheritdoc cref="Set(string, string)"/>
    public void Set(string name, long value) => Set(name, value.ToString(CultureInfo.InvariantCulture));

    /// <summary>Puts a tree below a name.</summary>
    public void Set(string name, KvTree tree) => _children[name] = tree;

    public void Remove(string name) => _children.Remove(name);

    /// <summary>The file's bytes.</summary>
    public byte[] ToBytes()
    {
        MemoryStream packed = new();
        packed.Write(new byte[HeaderBytes]);
        Pack(packed);
        packed.Write(new byte[sizeof(uint)]);
        byte[] bytes = packed.ToArray();
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(4), TypeAndVersion);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(6), TypeAndVersion);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), (ulong)bytes.Length);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(16), HasCrc);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(bytes.Length - sizeof(uint)), Crc32(bytes.AsSpan(0, bytes.Length - sizeof(uint))));
        return bytes;
    }

    /// <returns>null: not a tree, cut off, or damaged</returns>
    public static KvTree? Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderBytes + sizeof(uint) || BinaryPrimitives.ReadUInt32BigEndian(bytes) != Magic || BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]) is var length && (length > (ulong)bytes.Length || length < HeaderBytes + sizeof(uint))) return null;
        bytes = bytes[..(int)length];
        if ((BinaryPrimitives.ReadUInt32BigEndian(bytes[16..]) & HasCrc) != 0)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(bytes[^sizeof(uint)..]) != Crc32(bytes[..^sizeof(uint)])) return null;
            bytes = bytes[..^sizeof(uint)];
        }
        bytes = bytes[HeaderBytes..];
        return Unpack(ref bytes, 0);
    }

    /// <returns>null: there is no such file, or it is none</returns>
    public static KvTree? Load(string path)
    {
        try { return Parse(File.ReadAllBytes(path)); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    /// <summary>Writes the file, or replaces it.</summary>
    /// <exception cref="IOException">what was there before is as it was</exception>
    public void Save(string path, bool durable) => FilePieces.Replace(path, ToBytes(), durable);

    /// <summary>One name a line, children indented.</summary>
    public void Print(TextWriter into, int depth = 0)
    {
        foreach ((string name, KvTree child) in _children)
        {
            into.WriteLine($"{new string(' ', depth * 2)}{name}");
            child.Print(into, depth + 1);
        }
    }

    private void Pack(MemoryStream into)
    {
        Span<byte> count = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(count, (uint)_children.Count);
        into.Write(count);
        foreach ((string name, KvTree child) in _children)
        {
            into.Write(Encoding.UTF8.GetBytes(name));
            into.WriteByte(0);
            child.Pack(into);
        }
    }

    private static KvTree? Unpack(ref ReadOnlySpan<byte> bytes, int depth)
    {
        if (bytes.Length < sizeof(uint) || depth > MaxDepth) return null;
        uint count = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        bytes = bytes[sizeof(uint)..];
        KvTree tree = new();
        for (uint i = 0; i < count; i++)
        {
            int end = bytes.IndexOf((byte)0);
            if (end < 0) return null;
            string name = Encoding.UTF8.GetString(bytes[..end]);
            bytes = bytes[(end + 1)..];
            if (Unpack(ref bytes, depth + 1) is not { } child) return null;
            tree._children[name] = child;
        }
        return tree;
    }

    /// <summary>As zlib's crc32().</summary>
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~0u;
        foreach (byte b in bytes)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320u);
        }
        return ~crc;
    }
}
