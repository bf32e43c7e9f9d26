using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using TreCr.XxHash;

namespace TreCr.Api;

/// <summary>What a checkpoint file held when it was written: its length, the hash of each 4 MiB of it, and the launch that wrote it. It lies beside the file, whose own layout has no room for it.</summary>
public sealed class FileSeal
{
    /// <summary>Bytes under one hash, and of one write.</summary>
    public const int PieceBytes = 4 << 20;

    private const string Begin = "trecr-seal 1", End = "end ";

    private readonly List<UInt128> _pieces = [];

    /// <param name="launch">number that the ranks of a launch agreed on; 0: unknown. Parts of one checkpoint that different launches wrote do not belong together</param>
    public FileSeal(int launch) => Launch = launch;

    /// <summary>Of the file.</summary>
    public long LengthBytes { get; private set; }

    /// <summary>The launch that wrote it.</summary>
    public int Launch { get; }

    /// <summary>Adds the next bytes of the file.</summary>
    /// <param name="piece">[<see cref="PieceBytes"/>], less at the end of the file only</param>
    public void Add(ReadOnlySpan<byte> piece)
    {
        _pieces.Add(XxHash128.HashToUInt128(piece));
        LengthBytes += piece.Length;
    }

    /// <summary>Whether these are the bytes that were written there.</summary>
    /// <param name="index">of the piece</param>
    public bool Holds(int index, ReadOnlySpan<byte> piece) => index < _pieces.Count && _pieces[index] == XxHash128.HashToUInt128(piece);

    /// <summary>Whether a file holds what was written: reads all of it.</summary>
    public bool Holds(SafeFileHandle file)
    {
        if (RandomAccess.GetLength(file) != LengthBytes) return false;
        byte[] buffer = new byte[(int)Math.Min(PieceBytes, LengthBytes)];
        for (int i = 0; i < _pieces.Count; i++)
        {
            Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(PieceBytes, LengthBytes - (long)i * PieceBytes));
            if (FilePieces.Read(file, piece, (long)i * PieceBytes) != piece.Length || !Holds(i, piece)) return false;
        }
        return true;
    }

    /// <summary>Whether both describe the same bytes of the same launch.</summary>
    public bool IsSameAs(FileSeal other) => LengthBytes == other.LengthBytes && Launch == other.Launch && _pieces.SequenceEqual(other._pieces);

    /// <summary>Lines, of which the last is the hash of the others.</summary>
    public string ToText()
    {
        StringBuilder text = new($"{Begin}\nlength {LengthBytes}\nlaunch {Launch}\n");
        foreach (UInt128 piece in _pieces) text.Append(CultureInfo.InvariantCulture, $"{piece:x32}\n");
        UInt128 own = XxHash128.HashToUInt128(Encoding.ASCII.GetBytes(text.ToString()));
        return text.Append(CultureInfo.InvariantCulture, $"{End}{own:x32}\n").ToString();
    }

    /// <summary>Reads the seals of a file, one after another; what is damaged is left out.</summary>
    public static IReadOnlyList<FileSeal> Parse(string text)
    {
        List<FileSeal> seals = [];
        for (int at = text.IndexOf(Begin, StringComparison.Ordinal); at >= 0;)
        {
            int next = text.IndexOf(Begin, at + 1, StringComparison.Ordinal);
            if (TryParseOne(text.AsSpan(at, (next < 0 ? text.Length : next) - at)) is { } seal) seals.Add(seal);
            at = next;
        }
        return seals;
    }

    private static FileSeal? TryParseOne(ReadOnlySpan<char> text)
    {
        int end = text.IndexOf(End);
        if (end < 0 || text[(end + End.Length)..].TrimEnd('\n').ToString() != XxHash128.HashToUInt128(Encoding.ASCII.GetBytes(text[..end].ToString())).ToString("x32", CultureInfo.InvariantCulture)) return null;
        string[] lines = text[..end].ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length < 3 || !long.TryParse(lines[1].AsSpan("length ".Length), out long length) || !int.TryParse(lines[2].AsSpan("launch ".Length), out int launch)) return null;
        FileSeal seal = new(launch) { LengthBytes = length };
        foreach (string line in lines[3..])
        {
            if (!UInt128.TryParse(line, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 piece)) return null;
            seal._pieces.Add(piece);
        }
        return seal._pieces.Count == (length + PieceBytes - 1) / PieceBytes ? seal : null;
    }
}
