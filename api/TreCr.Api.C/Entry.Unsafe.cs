using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TreCr.Linux;

namespace TreCr.Api.C;

/// <summary>What all entry points of the C interfaces go through: one at a time, and what goes wrong is one line on standard error and a value.</summary>
internal static unsafe class Entry
{
    private static readonly Lock s_gate = new();
    private static bool s_shielded;

    /// <param name="failure">what the program gets for an exception</param>
    public static int Guard(Func<int> body, int failure, string name)
    {
        lock (s_gate)
        {
            try { return body(); }
            catch (Exception e)
            {
                Say(name, e.Message);
                return failure;
            }
        }
    }

    public static void Say(string name, string text)
    {
        byte[] line = Encoding.UTF8.GetBytes($"{name}: {text}\n");
        fixed (byte* p = line) Sys.Write(2, p, line.Length);
    }

    /// <summary>A string of the program.</summary>
    public static string Text(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>A variable of the environment as the program has it now.</summary>
    public static string? Variable(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name + '\0');
        return Marshal.PtrToStringUTF8((nint)Sys.GetEnvironment(bytes));
    }

    /// <summary>Directory of this library: where a line of /proc/self/maps has the address of one of its functions.</summary>
    public static string? OwnDirectory()
    {
        nint address = (nint)(delegate* unmanaged[Cdecl]<int, int>)&Veloc.Exports.VELOC_Finalize;
        foreach (string line in File.ReadLines("/proc/self/maps"))
        {
            string[] words = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 6 || words[0].Split('-') is not [var start, var end]) continue;
            if (address >= nint.Parse(start, System.Globalization.NumberStyles.HexNumber) && address < nint.Parse(end, System.Globalization.NumberStyles.HexNumber)) return Path.GetDirectoryName(words[5]);
        }
        return null;
    }

    /// <summary>The runtime's finalizer thread must not get the program's signals.</summary>
    public static void Shield()
    {
        if (s_shielded) return;
        s_shielded = true;
        Abandon();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Abandon() => _ = new SignalShield();

    private sealed class SignalShield
    {
        ~SignalShield() => Sys.BlockProgramSignals();
    }
}
