using System.Diagnostics;
using System.Text;
using TreCr.Backend.Cuda;

namespace TreCr.Cli;

/// <summary>
/// Asks NVIDIA's driver itself whether there is a GPU: in a child process, because a broken driver may crash or hang whoever calls it. The child prints one line and ends
/// with 0 when there is a device.
/// </summary>
internal static unsafe class GpuProbe
{
    public const string VerbName = "gpu-probe";
    private const int TimeoutMs = 20_000;

    /// <summary>A GPU that works, none, or one whose driver fails.</summary>
    public static DoctorFinding Check()
    {
        string[] nodes = [.. Directory.EnumerateFiles("/dev", "nvidia*").Order(StringComparer.Ordinal)];
        bool expected = File.Exists("/dev/nvidiactl") || File.Exists("/dev/dxg");
        (int? code, string said) = RunChild();
        const string Software = "the software device is used";
        if (code == 0) return DoctorFinding.Ok("gpu", said);
        if (code is null) return DoctorFinding.Degraded("gpu", $"NVIDIA's driver did not answer within {TimeoutMs / 1000} s ({string.Join(", ", nodes)}); run with --device soft", "nvidia-smi; reload the driver or reboot");
        if (!expected) return DoctorFinding.Ok("gpu", $"none: {Software} ({said})");
        return DoctorFinding.Degraded("gpu", $"{string.Join(", ", nodes)} {(nodes.Length == 1 ? "is" : "are")} there, but {said}: {Software}", "nvidia-smi; install the libcuda1 that belongs to the kernel's driver, or let the container have the devices");
    }

    /// <returns>exit code, null: none in time; and the line that the child printed</returns>
    private static (int? Code, string Said) RunChild()
    {
        using System.Diagnostics.Process child = new();
        child.StartInfo = new ProcessStartInfo(Installation.Trecr) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        child.StartInfo.ArgumentList.Add(VerbName);
        StringBuilder text = new();
        child.OutputDataReceived += (_, line) => { lock (text) text.Append(line.Data); };
        child.Start();
        child.BeginOutputReadLine();
        child.BeginErrorReadLine(); // drivers talk there
        child.StandardInput.Close();
        if (!child.WaitForExit(TimeoutMs))
        {
            child.Kill();
            return (null, "");
        }
        child.WaitForExit(); // until the output was read
        lock (text) return (child.ExitCode, text.Length > 0 ? text.ToString() : $"the probe ended with {child.ExitCode} and said nothing");
    }

    /// <summary>The child.</summary>
    public static int Run(Arguments arguments)
    {
        if (!DriverLibrary.IsPresent) return Say(1, "NVIDIA's driver library (libcuda.so.1) is not installed");
        var init = (delegate* unmanaged<uint, int>)DriverLibrary.Resolve("cuInit");
        var version = (delegate* unmanaged<int*, int>)DriverLibrary.Resolve("cuDriverGetVersion");
        var count = (delegate* unmanaged<int*, int>)DriverLibrary.Resolve("cuDeviceGetCount");
        var name = (delegate* unmanaged<byte*, int, int, int>)DriverLibrary.Resolve("cuDeviceGetName");
        var attribute = (delegate* unmanaged<int*, int, int, int>)DriverLibrary.Resolve("cuDeviceGetAttribute");
        if (init == null || version == null || count == null || name == null || attribute == null) return Say(1, "libcuda.so.1 is not NVIDIA's driver: functions are missing");
        int result = init(0), number = 0, devices = 0;
        if (result != 0) return Say(1, $"cuInit answers {result}{(result switch { 100 => " (no device)", 803 => " (driver and library do not fit)", 999 => " (unknown)", _ => "" })}");
        version(&number);
        if (count(&devices) != 0 || devices == 0) return Say(1, "NVIDIA's driver finds no device");
        List<string> names = [];
        byte* buffer = stackalloc byte[256];
        for (int i = 0; i < devices; i++)
        {
            int major = 0, minor = 0;
            if (name(buffer, 256, i) != 0 || attribute(&major, 75, i) != 0 || attribute(&minor, 76, i) != 0) return Say(1, $"NVIDIA's driver does not describe device {i}");
            names.Add($"{System.Runtime.InteropServices.Marshal.PtrToStringUTF8((nint)buffer)} ({major}.{minor})");
        }
        return Say(0, $"{string.Join(", ", names)}; driver for CUDA {number / 1000}.{number % 1000 / 10}");
    }

    private static int Say(int code, string text)
    {
        Output.Line(text);
        return code;
    }
}
