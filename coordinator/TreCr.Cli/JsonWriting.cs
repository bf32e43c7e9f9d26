using System.Text.Json;

namespace TreCr.Cli;

/// <summary>Shorthands for JSON results.</summary>
internal static class JsonWriting
{
    public static void WriteNumbers(this Utf8JsonWriter json, params ReadOnlySpan<(string Name, long Value)> numbers)
    {
        foreach ((string name, long value) in numbers) json.WriteNumber(name, value);
    }

    public static void WriteStrings(this Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (string value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    public static void WriteObjects<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (T item in items)
        {
            json.WriteStartObject();
            write(item);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
