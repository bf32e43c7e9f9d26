using System.Globalization;

namespace TreCr.Ptx.Parse;

enum TokenKind : byte { End, Identifier, Integer, Float32, Float64, String, Punctuation }

/// <summary>Cuts PTX text into tokens; comments, .loc and .file arguments never reach the parser as anything but tokens.</summary>
sealed class PtxLexer(string text)
{
    readonly Dictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> interned = new Dictionary<string, string>().GetAlternateLookup<ReadOnlySpan<char>>();
    int at;

    public TokenKind Kind { get; private set; }
    /// <summary>identifier or string text, interned</summary>
    public string Text { get; private set; } = "";
    /// <summary>punctuation character</summary>
    public char Mark { get; private set; }
    /// <summary>integer value or float bits</summary>
    public long Value { get; private set; }
    public int Line { get; private set; } = 1;

    /// <summary>A place to come back to.</summary>
    public (int At, int Line) Position => (start, Line);
    int start;

    static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' or '.' or '%';

    public void Next()
    {
        SkipBlank();
        start = at;
        if (at >= text.Length) { Kind = TokenKind.End; Text = "end of text"; return; }
        char c = text[at];
        if (char.IsAsciiDigit(c)) { Number(); return; }
        if (c == '%' && (at + 1 >= text.Length || !IsWord(text[at + 1]))) { Punctuation(c); return; }
        if (IsWord(c))
        {
            int from = at;
            for (at++; at < text.Length; at++)
            {
                if (IsWord(text[at]) && text[at] != '%') continue;
                // "::" belongs to a modifier (shared::cta); one ':' ends a label.
                if (text[at] == ':' && at + 2 < text.Length && text[at + 1] == ':' && char.IsAsciiLetterOrDigit(text[at + 2])) { at++; continue; }
                break;
            }
            Kind = TokenKind.Identifier;
            Text = Intern(text.AsSpan(from, at - from));
            return;
        }
        if (c == '"')
        {
            int from = ++at;
            while (at < text.Length && text[at] != '"') { if (text[at] == '\n') Line++; at++; }
            if (at >= text.Length) throw new PtxException(PtxException.InvalidPtx, "string without an end", Line);
            Kind = TokenKind.String;
            Text = text[from..at++];
            return;
        }
        Punctuation(c);
    }

    void Punctuation(char c)
    {
        Kind = TokenKind.Punctuation;
        Mark = c;
        at++;
    }

    string Intern(ReadOnlySpan<char> word)
    {
        if (interned.TryGetValue(word, out string? known)) return known;
        string s = word.ToString();
        interned.Dictionary[s] = s;
        return s;
    }

    void SkipBlank()
    {
        while (at < text.Length)
        {
            char c = text[at];
            if (c == '\n') { Line++; at++; }
            else if (c is ' ' or '\t' or '\r' or '\0') at++;
            else if (c == '/' && at + 1 < text.Length && text[at + 1] == '/') { while (at < text.Length && text[at] != '\n') at++; }
            else if (c == '/' && at + 1 < text.Length && text[at + 1] == '*')
            {
                for (at += 2; at + 1 < text.Length && !(text[at] == '*' && text[at + 1] == '/'); at++)
                    if (text[at] == '\n') Line++;
                at = Math.Min(at + 2, text.Length);
            }
            else if (c == '#') { while (at < text.Length && text[at] != '\n') at++; }
            else return;
        }
    }

    void Number()
    {
        int from = at;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_')) at++;
        ReadOnlySpan<char> word = text.AsSpan(from, at - from);
        if (word.Length > 2 && word[0] == '0')
        {
            ReadOnlySpan<char> digits = word[2..];
            switch (word[1])
            {
                case 'f' or 'F': Kind = TokenKind.Float32; Value = (long)Hex(digits, 8); return;
                case 'd' or 'D': Kind = TokenKind.Float64; Value = (long)Hex(digits, 16); return;
                case 'x' or 'X': Kind = TokenKind.Integer; Value = (long)Hex(digits.TrimEnd('U'), 16); return;
                case 'b' or 'B':
                    Kind = TokenKind.Integer;
                    Value = ulong.TryParse(digits.TrimEnd('U'), NumberStyles.AllowBinarySpecifier, CultureInfo.InvariantCulture, out ulong bits) ? (long)bits : throw Bad(word);
                    return;
            }
        }
        if (at < text.Length && text[at] == '.' && at + 1 < text.Length && char.IsAsciiDigit(text[at + 1]) || word.IndexOfAny('e', 'E') > 0)
        {
            if (at < text.Length && text[at] == '.') for (at++; at < text.Length && char.IsAsciiLetterOrDigit(text[at]); at++) { }
            if (text[at - 1] is 'e' or 'E' && at < text.Length && text[at] is '+' or '-') for (at++; at < text.Length && char.IsAsciiDigit(text[at]); at++) { }
            word = text.AsSpan(from, at - from);
            if (!double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out double d)) throw Bad(word);
            Kind = TokenKind.Float64;
            Value = BitConverter.DoubleToInt64Bits(d);
            return;
        }
        word = word.TrimEnd('U');
        ulong value = 0;
        bool octal = word.Length > 1 && word[0] == '0';
        foreach (char c in word)
        {
            if (!char.IsAsciiDigit(c) || octal && c > '7') throw Bad(word);
            value = value * (octal ? 8u : 10u) + (uint)(c - '0');
        }
        Kind = TokenKind.Integer;
        Value = (long)value;
    }

    ulong Hex(ReadOnlySpan<char> digits, int atMost)
        => digits.Length <= atMost && ulong.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong v) ? v : throw Bad(digits);

    PtxException Bad(ReadOnlySpan<char> word) => new(PtxException.InvalidPtx, $"'{word}' is no number", Line);

    /// <summary>From the '{' at hand to what follows its '}'. False, and nothing has happened, where the end is not found or a variable of the module is declared inside.</summary>
    /// <remarks>
    /// A loop over characters on purpose: a library's PTX is megabytes when a program starts, and what the library has for searching (SearchValues, IndexOfAny) uses vectors that no precompiled code has, so that it runs
    /// unoptimised in a new process (10.0.12: five times slower than this loop).
    /// </remarks>
    public bool TrySkipBody()
    {
        int to = start, depth = 0, lines = 0;
        ReadOnlySpan<char> t = text;
        do
        {
            if (to >= t.Length) return false;
            char c = t[to++];
            switch (c)
            {
                case '\n': lines++; break;
                case '{': depth++; break;
                case '}': depth--; break;
                case '.' when to >= 2 && DeclaresVariable(t[to - 2], t[to..]): return false;
                case '"': if (!Behind(ref to, ref lines, "\"")) return false; break;
                case '#': if (!Behind(ref to, ref lines, "\n")) return false; break;
                case '/' when to < t.Length && t[to] == '/': if (!Behind(ref to, ref lines, "\n")) return false; break;
                case '/' when to < t.Length && t[to] == '*': if (!Behind(ref to, ref lines, "*/")) return false; break;
            }
        } while (depth > 0);
        Line += lines;
        at = to;
        Next();
        return true;
    }

    /// <summary>A directive that declares variables of the module: in an instruction a letter or digit stands before the dot.</summary>
    static bool DeclaresVariable(char before, ReadOnlySpan<char> behind) => before is '\t' or ' ' or '\n' or '\r' or '{' or '}' or ';' && (behind.StartsWith("global", StringComparison.Ordinal) || behind.StartsWith("const", StringComparison.Ordinal));

    /// <summary>Goes behind the next <paramref name="mark"/>.</summary>
    bool Behind(ref int to, ref int lines, string mark)
    {
        int n = text.AsSpan(to).IndexOf(mark, StringComparison.Ordinal);
        if (n < 0) return false;
        lines += text.AsSpan(to, n + mark.Length).Count('\n');
        to += n + mark.Length;
        return true;
    }

    /// <summary>Goes back to a token, by its <see cref="Position"/>.</summary>
    public void GoTo(int position, int line)
    {
        at = position;
        Line = line;
        Next();
    }

    /// <summary>Skips the rest of the current line, for directives whose arguments mean nothing here.</summary>
    public void SkipLine()
    {
        while (at < text.Length && text[at] != '\n') at++;
        Next();
    }
}
