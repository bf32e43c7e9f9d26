using System.Text;
using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Parse;

/// <summary>PTX text to <see cref="PtxModule"/>: everything is checked for form here; whether an instruction can run is decided at its first launch.</summary>
/// <remarks>Source: PTX ISA 8.x, "Syntax" and "Directives"; nvcc and clang output. One parser per text, one thread.</remarks>
public sealed partial class PtxParser
{
    /// <summary>Newest PTX version that is accepted.</summary>
    public const int NewestMajor = 9, NewestMinor = 9;

    readonly PtxLexer lexer;
    readonly PtxModule module = new();
    readonly bool bodiesLater;
    readonly Dictionary<string, PtxOpcode> opcodes = [];

    PtxParser(string text, bool bodiesLater)
    {
        lexer = new(text);
        this.bodiesLater = bodiesLater;
    }

    /// <summary>Parses one module.</summary>
    /// <param name="text">PTX, 7-bit; a trailing NUL is allowed</param>
    /// <param name="bodiesLater">Bodies of functions are only stepped over, and read when they are asked for: of a library's five megabytes of text a program launches a few kernels. What is wrong in one is found then.</param>
    /// <exception cref="PtxException">218 with a line number, or 222 for a version that is too new.</exception>
    public static PtxModule Parse(ReadOnlySpan<byte> text, bool bodiesLater = false)
    {
        PtxParser parser = new(Encoding.Latin1.GetString(text), bodiesLater);
        parser.Try(parser.Module);
        return parser.module;
    }

    void Try(Action read)
    {
        try
        {
            read();
        }
        catch (Exception e) when (e is OverflowException or IndexOutOfRangeException or ArgumentException or FormatException or InvalidCastException)
        {
            throw new PtxException(PtxException.InvalidPtx, "malformed: " + e.Message, lexer.Line);
        }
    }

    public static PtxModule Parse(string text) => Parse(Encoding.Latin1.GetBytes(text));

    PtxException Bad(string what) => new(PtxException.InvalidPtx, what, lexer.Line);

    string Found => lexer.Kind switch
    {
        TokenKind.Punctuation => $"'{lexer.Mark}'",
        TokenKind.Identifier or TokenKind.String => $"'{lexer.Text}'",
        TokenKind.End => "the end of the text",
        _ => "a number",
    };

    bool At(char mark) => lexer.Kind == TokenKind.Punctuation && lexer.Mark == mark;
    bool At(string word) => lexer.Kind == TokenKind.Identifier && lexer.Text == word;

    bool Take(char mark)
    {
        if (!At(mark)) return false;
        lexer.Next();
        return true;
    }

    bool Take(string word)
    {
        if (!At(word)) return false;
        lexer.Next();
        return true;
    }

    void Want(char mark)
    {
        if (!Take(mark)) throw Bad($"'{mark}' expected, found {Found}");
    }

    string Word()
    {
        if (lexer.Kind != TokenKind.Identifier) throw Bad($"a name expected, found {Found}");
        string word = lexer.Text;
        lexer.Next();
        return word;
    }

    long Integer()
    {
        bool negative = Take('-');
        if (lexer.Kind != TokenKind.Integer) throw Bad($"an integer expected, found {Found}");
        long value = lexer.Value;
        lexer.Next();
        return negative ? -value : value;
    }

    PtxOpcode Opcode(string text)
    {
        if (!opcodes.TryGetValue(text, out PtxOpcode? opcode)) opcodes[text] = opcode = new(text);
        return opcode;
    }

    void Module()
    {
        lexer.Next();
        bool version = false, target = false;
        while (lexer.Kind != TokenKind.End)
        {
            if (Take(';')) continue;
            if (lexer.Kind != TokenKind.Identifier) throw Bad($"a directive expected, found {Found}");
            if (!version && lexer.Text != ".version") throw Bad(".version must come first");
            switch (lexer.Text)
            {
                case ".version":
                    lexer.Next();
                    Version();
                    version = true;
                    break;
                case ".target":
                    lexer.Next();
                    do Target(Word()); while (Take(','));
                    target = true;
                    break;
                case ".address_size":
                    lexer.Next();
                    module.AddressBits = (int)Integer();
                    if (module.AddressBits != 64) throw Bad($"address size {module.AddressBits} is not supported");
                    break;
                case ".file" or ".loc" or ".pragma":
                    lexer.SkipLine();
                    break;
                case ".section":
                    while (!At('{')) { if (lexer.Kind == TokenKind.End) throw Bad(".section without a body"); lexer.Next(); }
                    SkipBraces();
                    break;
                case "@@DWARF": lexer.SkipLine(); break;
                case ".alias":
                    lexer.Next();
                    string name = Word();
                    Want(',');
                    string other = Word();
                    if (!module.FunctionsByName.TryGetValue(other, out PtxFunction? aliased)) throw Bad($".alias of unknown function {other}");
                    module.FunctionsByName[name] = aliased;
                    break;
                default:
                    if (!target) throw Bad(".target must come before the first definition");
                    Declaration();
                    break;
            }
        }
        if (!version || !target) throw new PtxException(PtxException.InvalidPtx, "no .version or no .target: this is no PTX");
        CheckLinks();
    }

    void Version()
    {
        // "7.8" comes as one float token: its digits matter, not its value.
        if (lexer.Kind is not (TokenKind.Float64 or TokenKind.Integer)) throw Bad($"a version expected, found {Found}");
        double v = lexer.Kind == TokenKind.Integer ? lexer.Value : BitConverter.Int64BitsToDouble(lexer.Value);
        module.VersionMajor = (int)v;
        module.VersionMinor = (int)Math.Round((v - (int)v) * 10);
        lexer.Next();
        if (module.VersionMajor > NewestMajor || module.VersionMajor < 1)
            throw new PtxException(PtxException.UnsupportedVersion, $"PTX version {module.VersionMajor}.{module.VersionMinor} is not supported (newest: {NewestMajor}.{NewestMinor})", lexer.Line);
    }

    void Target(string word)
    {
        if (!word.StartsWith("sm_", StringComparison.Ordinal)) return; // texmode_…, debug, map_f64_to_f32
        int digits = 3;
        while (digits < word.Length && char.IsAsciiDigit(word[digits])) digits++;
        if (digits == 3 || digits > 7) throw Bad($"unknown target {word}");
        module.TargetSm = int.Parse(word.AsSpan(3, digits - 3), System.Globalization.CultureInfo.InvariantCulture);
        module.TargetSuffix = word[digits..];
    }

    void SkipBraces()
    {
        int depth = 0;
        do
        {
            if (At('{')) depth++;
            else if (At('}')) depth--;
            else if (lexer.Kind == TokenKind.End) throw Bad("'{' without '}'");
            lexer.Next();
        } while (depth > 0);
    }
}
