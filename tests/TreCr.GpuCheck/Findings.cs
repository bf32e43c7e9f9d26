using System.Text;
using System.Text.Json;

namespace TreCr.GpuCheck;

/// <summary>What one check found: named values in order, printed as one JSON object. <c>pass</c> comes first; an error is text in <c>error</c>.</summary>
internal sealed class Findings
{
    private readonly List<(string Name, object Value)> _values = [];

    /// <summary>Every expectation held so far.</summary>
    public bool Pass { get; private set; } = true;

    public void Set(string name, string value) => _values.Add((name, value));

    public void Set(string name, long value) => _values.Add((name, value));

    public void Set(string name, bool value) => _values.Add((name, value));

    public void Set(string name, IEnumerable<string> values) => _values.Add((name, values.ToArray()));

    public void SetAddress(string name, ulong address) => _values.Add((name, Hex(address)));

    /// <summary>A part of the check: reported, and counted.</summary>
    public void Expect(string name, bool held)
    {
        Set(name, held);
        Pass &= held;
    }

    public void Fail(string error)
    {
        Set("error", error);
        Pass = false;
    }

    public static string Hex(ulong address) => $"0x{address:x}";

    public string ToJson()
    {
        using MemoryStream text = new();
        using (Utf8JsonWriter json = new(text))
        {
            json.WriteStartObject();
            json.WriteBoolean("pass", Pass);
            foreach ((string name, object value) in _values)
                switch (value)
                {
                    case string s: json.WriteString(name, s); break;
                    case long n: json.WriteNumber(name, n); break;
                    case bool b: json.WriteBoolean(name, b); break;
                    case string[] list:
                        json.WriteStartArray(name);
                        foreach (string s in list) json.WriteStringValue(s);
                        json.WriteEndArray();
                        break;
                }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(text.ToArray());
    }
}
