using System.Text;
using TreCr.Ptx.Ast;

namespace TreCr.Ptx.Parse;

/// <summary>
/// Reads the parameters of each kernel out of PTX text and nothing else: the body of a function is skipped, so that instructions which the parser does not know
/// do not matter. For drivers that cannot be asked (cuFuncGetParamInfo came with CUDA 12.4).
/// </summary>
/// <remarks>Layout of the block: natural alignment in order of declaration. Source: PTX ISA, "Kernel Function Parameters"; facts/cuda.md §5.2.</remarks>
public static class EntryParameters
{
    /// <summary>Parameters of every kernel that the text declares or defines, as (offset, size) in bytes within the parameter block.</summary>
    /// <exception cref="PtxException">218: the text ends inside a signature, or a parameter is not understood</exception>
    public static Dictionary<string, (int Offset, int Size)[]> Read(ReadOnlySpan<byte> text)
    {
        Dictionary<string, (int, int)[]> kernels = [];
        Words words = new(Encoding.Latin1.GetString(text));
        while (words.Next() is { Length: > 0 } word)
        {
            if (word != ".entry") continue;
            string name = words.Next();
            List<(int, int)> parameters = [];
            int end = 0;
            // A kernel without parameters may have no parentheses at all.
            if (words.Peek() == "(")
            {
                words.Next();
                while (words.Peek() != ")")
                {
                    (int align, int size) = Parameter(ref words, name);
                    int offset = (end + align - 1) & -align;
                    parameters.Add((offset, size));
                    end = offset + size;
                    if (words.Peek() == ",") words.Next();
                }
            }
            kernels[name] = [.. parameters];
        }
        return kernels;
    }

    /// <summary><c>.param [.align N] .TYPE [.ptr [.SPACE] [.align N]] NAME [\[LENGTH\]]</c>: the first .align is the parameter's, the one behind .ptr what it points to.</summary>
    private static (int Align, int Size) Parameter(ref Words words, string kernel)
    {
        if (words.Next() != ".param") throw Bad(kernel, "a parameter without .param");
        int align = 0, elementBytes = 0;
        bool pointer = false;
        for (string word = words.Next(); ; word = words.Next())
        {
            if (word == ".align")
            {
                int value = Number(words.Next(), kernel);
                if (!pointer) align = value;
            }
            else if (word == ".ptr") pointer = true;
            else if (word.StartsWith('.'))
            {
                if (PtxTypes.Parse(word[1..]) is not PtxType.None and var type) elementBytes = type.Bytes();
                else if (!pointer) throw Bad(kernel, $"a parameter of type {word}");
            }
            else if (word.Length == 0 || word is "(" or ")" or "," or "[" or "]") throw Bad(kernel, "a parameter without a name");
            else break;
        }
        if (elementBytes == 0) throw Bad(kernel, "a parameter without a type");
        int count = 1;
        if (words.Peek() == "[")
        {
            words.Next();
            count = Number(words.Next(), kernel);
            if (words.Next() != "]") throw Bad(kernel, "an array parameter without its bracket");
        }
        if (align == 0) align = elementBytes;
        if (align is < 1 or > 256 || (align & (align - 1)) != 0 || count is < 0 or > 1 << 16) throw Bad(kernel, "a parameter of impossible size");
        return (align, elementBytes * count);
    }

    private static int Number(string word, string kernel) => int.TryParse(word, out int value) ? value : throw Bad(kernel, $"'{word}' where a number belongs");

    private static PtxException Bad(string kernel, string what) => new(PtxException.InvalidPtx, $"kernel {kernel}: {what}");

    /// <summary>Splits text into words: names and directives, and each bracket, comma and the like by itself. Comments, quoted text and bodies are passed over.</summary>
    private struct Words(string text)
    {
        private int _at;

        public readonly string Peek()
        {
            Words copy = this;
            return copy.Next();
        }

        /// <summary>The next word; empty at the end.</summary>
        public string Next()
        {
            Skip();
            if (_at >= text.Length) return "";
            int start = _at;
            if (!IsName(text[_at])) return text[_at++].ToString();
            _at++;
            while (_at < text.Length && IsName(text[_at]) && text[_at] != '.') _at++;
            return text[start.._at];
        }

        private static bool IsName(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' or '%' or '.';

        private void Skip()
        {
            while (_at < text.Length)
            {
                char c = text[_at];
                if (char.IsWhiteSpace(c)) _at++;
                else if (c == '/' && _at + 1 < text.Length && text[_at + 1] == '/') _at = After("\n");
                else if (c == '/' && _at + 1 < text.Length && text[_at + 1] == '*') { _at += 2; _at = After("*/"); }
                else if (c == '"') { _at++; _at = After("\""); }
                else if (c == '{') SkipBody();
                else return;
            }
        }

        private readonly int After(string mark) => text.IndexOf(mark, _at, StringComparison.Ordinal) is >= 0 and var found ? found + mark.Length : text.Length;

        /// <summary>Braces nest: scopes of calls, initialisers.</summary>
        private void SkipBody()
        {
            for (int depth = 0; _at < text.Length;)
            {
                char c = text[_at];
                if (c == '/' && _at + 1 < text.Length && text[_at + 1] is '/' or '*' || c == '"')
                {
                    // A brace in a comment is none.
                    int before = _at;
                    if (c == '"') { _at++; _at = After("\""); }
                    else if (text[_at + 1] == '/') _at = After("\n");
                    else { _at += 2; _at = After("*/"); }
                    if (_at > before) continue;
                }
                _at++;
                if (c == '{') depth++;
                else if (c == '}' && --depth == 0) return;
            }
        }
    }
}
