using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace TreCr.Wrapper.Cuda.Nvrtc;

/// <summary>What a program asks NVRTC to compile for, and what the software device needs instead. NVRTC documentation, "Supported Compile Options", --gpu-architecture.</summary>
internal static unsafe class NvrtcArchitecture
{
    private static readonly string[] Names = ["--gpu-architecture=", "-arch=", "--gpu-architecture ", "-arch "];

    /// <summary>The session's device runs PTX only. False before cuInit and on a GPU.</summary>
    public static bool IsSoftDevice => Devices.Count > 0 && Devices.IsSoft(0);

    /// <summary>Reads an option.</summary>
    /// <param name="number">90 in sm_90 and compute_90a</param>
    /// <param name="isMachine">sm_: machine code is asked for</param>
    /// <returns>false: it is another option</returns>
    public static bool TryRead(string option, out int number, out bool isMachine)
    {
        (number, isMachine) = (0, false);
        foreach (string name in Names)
        {
            if (!option.StartsWith(name, StringComparison.Ordinal)) continue;
            string value = option[name.Length..].Trim();
            isMachine = value.StartsWith("sm_", StringComparison.Ordinal);
            if (!isMachine && !value.StartsWith("compute_", StringComparison.Ordinal)) return false;
            return int.TryParse(value[(value.IndexOf('_') + 1)..].TrimEnd('a', 'f'), NumberStyles.None, CultureInfo.InvariantCulture, out number);
        }
        return false;
    }

    /// <summary>The options with PTX in place of machine code, for the highest architecture of this NVRTC that is not above the one asked for.</summary>
    /// <param name="wasMachine">the program will ask for machine code and gets the PTX</param>
    /// <returns>null: nothing to change</returns>
    public static string[]? Replace(int count, byte** options, ReadOnlySpan<int> supported, out bool wasMachine)
    {
        wasMachine = false;
        string[] result = new string[count];
        bool changed = false;
        for (int i = 0; i < count; i++)
        {
            result[i] = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(options[i]));
            if (!TryRead(result[i], out int asked, out bool isMachine)) continue;
            int best = 0;
            foreach (int s in supported) if (s <= asked && s > best) best = s;
            if (best == 0) best = asked;
            if (!isMachine && best == asked) continue;
            result[i] = $"--gpu-architecture=compute_{best}";
            wasMachine |= isMachine;
            changed = true;
        }
        return changed ? result : null;
    }
}
