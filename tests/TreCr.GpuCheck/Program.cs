using System.Text;
using System.Text.Json;
using TreCr.Linux;

namespace TreCr.GpuCheck;

/// <summary>
/// <c>trecr-gpu-probe [--processes N] [--seconds S] [--parallel P] [--ptx DIR]</c>: asks a real driver what TreCr rests on and prints one JSON object. Every check runs in
/// processes of its own with a deadline; errors are text in the report. Exit code 0: all hold; 1: something does not; 2: usage; 3: no device.
/// <c>trecr-gpu-probe json FILE</c>: exit code 0 if the file is well-formed JSON; prints its <c>result</c>.
/// </summary>
internal static class Program
{
    private static readonly TimeSpan CheckLimit = TimeSpan.FromSeconds(30);

    private static int Main(string[] arguments)
    {
        if (arguments is ["child", var check, ..]) return RunChild(check, arguments is [_, _, "--ptx", var directory] ? directory : "");
        if (arguments is ["json", var file]) return CheckJson(file);
        int processes = 100, seconds = 120, parallel = 4;
        string ptx = "";
        for (int i = 0; i < arguments.Length; i += 2)
        {
            string value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            bool understood = arguments[i] switch
            {
                "--processes" => int.TryParse(value, out processes) && processes > 0,
                "--seconds" => int.TryParse(value, out seconds) && seconds > 0,
                "--parallel" => int.TryParse(value, out parallel) && parallel is > 0 and <= 64,
                "--ptx" => Directory.Exists(ptx = value),
                _ => false,
            };
            if (understood) continue;
            Console.Error.WriteLine($"trecr-gpu-probe: {arguments[i]} {value} is not understood; usage: trecr-gpu-probe [--processes N] [--seconds S] [--parallel P] [--ptx DIR]");
            return 2;
        }

        JsonElement facts = Child.Run(CheckLimit, "child", "facts"), pinned = Child.Run(CheckLimit, "child", "pinned"), export = Child.Run(CheckLimit, "child", "export");
        Findings slots = ManySlots.Run(processes, TimeSpan.FromSeconds(seconds), parallel, ptx);
        bool device = !(facts.TryGetProperty("error", out JsonElement error) && error.GetString()!.StartsWith("no device", StringComparison.Ordinal));
        bool pass = slots.Pass && facts.GetProperty("pass").GetBoolean() && pinned.GetProperty("pass").GetBoolean() && export.GetProperty("pass").GetBoolean();
        using MemoryStream text = new();
        using (Utf8JsonWriter json = new(text, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("schema", "trecr-gpu-probe/1");
            json.WriteString("result", !device ? "no device" : pass ? "pass" : "fail");
            json.WritePropertyName("facts");
            facts.WriteTo(json);
            json.WritePropertyName("slots");
            json.WriteRawValue(slots.ToJson());
            json.WritePropertyName("pinned");
            pinned.WriteTo(json);
            json.WritePropertyName("export");
            export.WriteTo(json);
            json.WriteEndObject();
        }
        Console.WriteLine(Encoding.UTF8.GetString(text.ToArray()));
        return !device ? 3 : pass ? 0 : 1;
    }

    private static int CheckJson(string file)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            Console.WriteLine(document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("result", out JsonElement result) ? result.ToString() : "");
            return 0;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }

    private static int RunChild(string check, string ptx)
    {
        Findings findings = new();
        try
        {
            switch (check)
            {
                case "facts": FactsCheck.Run(findings); break;
                case "slot": SlotCheck.Run(findings, late: false, ptx); break;
                case "slot-late": SlotCheck.Run(findings, late: true, ptx); break;
                case "pinned": PinnedCheck.Run(findings); break;
                case "export": ExportCheck.Run(findings); break;
                default: findings.Fail($"no such check: {check}"); break;
            }
        }
        catch (Exception e) when (e is ProbeException or LinuxException)
        {
            findings.Fail(e.Message);
        }
        catch (Exception e)
        {
            findings.Fail(e.ToString());
        }
        Console.WriteLine(findings.ToJson());
        Console.Out.Flush();
        return findings.Pass ? 0 : 1;
    }
}
