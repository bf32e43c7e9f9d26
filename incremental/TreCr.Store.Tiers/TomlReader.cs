using System.Globalization;
using System.Text;

namespace TreCr.Store.Tiers;

/// <summary>
/// Reads the part of TOML 1.0 that policies are written in: tables, arrays of tables, bare and quoted keys, strings on one line, whole numbers, true and false, arrays. What else TOML has (dotted keys,
/// inline tables, dates, floats, strings over several lines) is refused by name. Source: toml.io/en/v1.0.0. No library of it can be had here (facts/toolchain.md).
/// </summary>
internal sealed class TomlReader
{
    private readonly string _file, _text;
    private int _at, _line = 1;

    private TomlReader(string text, string file) => (_text, _file) = (text, file);

    /// <summary>Reads a document.</summary>
    /// <param name="file">names it in messages</param>
    /// <exception cref="PolicyException">not TOML, or not the part of it that is read</exception>
    internal static TomlTable Read(string text, string file) => new TomlReader(text, file).Document();

    private TomlTable Document()
    {
        TomlTable root = new(_file, "", 1), current = root;
        while (true)
        {
            SkipBlank(lines: true);
            if (_at >= _text.Length) return root;
            if (_text[_at] == '[')
            {
                int line = _line;
                bool many = Next() == '[';
                if (many) Next();
                SkipBlank(lines: false);
                string name = Key();
                SkipBlank(lines: false);
                Expect(']', name);
                if (many) Expect(']', name);
                current = new TomlTable(_file, name, line);
                if (!root.Add(name, current, many)) throw At(line, name, many ? "is a table or a value already" : "comes twice");
            }
            else
            {
                int line = _line;
                string key = Key();
                SkipBlank(lines: false);
                if (Peek() == '.') throw At(line, key, "dotted keys are not read here");
                Expect('=', key);
                SkipBlank(lines: false);
                object value = Value(key);
                if (!current.Add(key, new TomlValue(value, line))) throw At(line, key, "comes twice");
            }
            SkipBlank(lines: false);
            if (_at < _text.Length && Peek() is not ('\n' or '\r')) throw At(_line, "", $"'{Peek()}' where the line should end");
        }
    }

    private string Key()
    {
        if (Peek() is '"' or '\'') return String("");
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '-' or '_')) _at++;
        return _at > start ? _text[start.._at] : throw At(_line, "", _at < _text.Length ? $"'{_text[_at]}' where a key should begin" : "ends where a key should begin");
    }

    private object Value(string key)
    {
        char c = Peek();
        switch (c)
        {
            case '"' or '\'': return String(key);
            case '[':
                List<object> values = [];
                Next();
                while (true)
                {
                    SkipBlank(lines: true);
                    if (Peek() == ']') break;
                    values.Add(Value(key));
                    SkipBlank(lines: true);
                    if (Peek() == ',') Next();
                    else if (Peek() != ']') throw At(_line, key, "the array does not end");
                }
                Next();
                return values;
            case '{': throw At(_line, key, "inline tables are not read here");
        }
        int start = _at;
        while (_at < _text.Length && (char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '+' or '-' or '_' or '.' or ':')) _at++;
        string word = _text[start.._at];
        if (word is "true" or "false") return word == "true";
        if (word.Length > 0 && word[^1] != '_' && word[0] != '_' && !word.Contains("__", StringComparison.Ordinal)
            && long.TryParse(word.Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)) return number;
        throw At(_line, key, word.Length == 0 ? "has no value" : $"{word}: wants a string in quotes, a whole number, true, false or an array of these");
    }

    private string String(string key)
    {
        char quote = Peek();
        if (_text.AsSpan(_at).StartsWith([quote, quote, quote])) throw At(_line, key, "strings over several lines are not read here");
        StringBuilder value = new();
        for (char c = Next(); ; c = Next())
        {
            if (c is '\0' or '\n' or '\r') throw At(_line, key, "the string does not end on its line");
            if (c == quote) break;
            if (char.IsControl(c) && c != '\t') throw At(_line, key, "a control character in a string");
            if (c != '\\' || quote == '\'') { value.Append(c); continue; }
            c = Next();
            int digits = c switch { 'u' => 4, 'U' => 8, _ => 0 };
            if (digits > 0)
            {
                string hex = _text.Substring(_at + 1, Math.Min(digits, _text.Length - _at - 1));
                if (hex.Length < digits || !int.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code) || !Rune.IsValid(code)) throw At(_line, key, $"\\{c}{hex}: no character");
                value.Append(new Rune(code));
                _at += digits;
                continue;
            }
            value.Append(c switch
            {
                'b' => '\b', 't' => '\t', 'n' => '\n', 'f' => '\f', 'r' => '\r', '"' => '"', '\\' => '\\',
                _ => throw At(_line, key, $"\\{c}: no such escape (use '...' where a backslash is meant)"),
            });
        }
        Next();
        return value.ToString();
    }

    private void SkipBlank(bool lines)
    {
        for (; _at < _text.Length; _at++)
        {
            char c = _text[_at];
            if (c == '#') while (_at + 1 < _text.Length && _text[_at + 1] != '\n') _at++;
            else if (c == '\n' && lines) _line++;
            else if (c is not (' ' or '\t') && !(c == '\r' && lines)) return;
        }
    }

    private char Peek() => _at < _text.Length ? _text[_at] : '\0';

    private char Next()
    {
        _at++;
        return Peek();
    }

    private void Expect(char c, string key)
    {
        if (Peek() != c) throw At(_line, key, $"'{c}' is missing");
        _at++;
    }

    private PolicyException At(int line, string key, string what) => new($"{_file}:{line}: {(key.Length > 0 ? $"{key}: " : "")}{what}");
}
