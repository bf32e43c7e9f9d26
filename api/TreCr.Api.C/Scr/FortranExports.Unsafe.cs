using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TreCr.Api.C.Scr;

/// <summary>SCR's Fortran interface, for scrf.h: names as gfortran, ifort and flang make them; the lengths of CHARACTER arguments follow the others.</summary>
internal static unsafe class FortranExports
{
    [UnmanagedCallersOnly(EntryPoint = "scr_init_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Init(int* error) => *error = Client.Open("SCR_INIT");

    [UnmanagedCallersOnly(EntryPoint = "scr_finalize_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Finalize(int* error) => *error = Client.Close("SCR_FINALIZE");

    /// <summary>A question that has no answer is a failure; setting is success, as documented.</summary>
    [UnmanagedCallersOnly(EntryPoint = "scr_config_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Config(byte* config, byte* value, int* error, nuint configLength, nuint valueLength)
    {
        string text = Text(config, configLength);
        nint answer = Client.Configure(text, "SCR_CONFIG");
        Put(answer == 0 ? "" : Entry.Text((byte*)answer), value, valueLength);
        *error = answer != 0 || text.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., var last] && last.Contains('=') ? Client.Success : Client.Failure;
        NativeMemory.Free((void*)answer);
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_route_file_", CallConvs = [typeof(CallConvCdecl)])]
    public static void RouteFile(byte* name, byte* file, int* error, nuint nameLength, nuint fileLength)
    {
        byte* buffer = stackalloc byte[Client.MaxPath];
        buffer[0] = 0;
        *error = Exports.Route(Text(name, nameLength), buffer, "SCR_ROUTE_FILE");
        Put(Entry.Text(buffer), file, fileLength);
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_need_checkpoint_", CallConvs = [typeof(CallConvCdecl)])]
    public static void NeedCheckpoint(int* flag, int* error) => *error = Exports.Flag(flag, s => s.NeedCheckpoint(), "SCR_NEED_CHECKPOINT");

    [UnmanagedCallersOnly(EntryPoint = "scr_start_output_", CallConvs = [typeof(CallConvCdecl)])]
    public static void StartOutput(byte* name, int* flags, int* error, nuint length)
    {
        string text = Text(name, length);
        int given = *flags;
        *error = Client.Call(s => s.StartOutput(text, given), "SCR_START_OUTPUT");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_complete_output_", CallConvs = [typeof(CallConvCdecl)])]
    public static void CompleteOutput(int* valid, int* error)
    {
        int given = *valid;
        *error = Client.CallAndExit(s => s.CompleteOutput(given != 0), "SCR_COMPLETE_OUTPUT");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_start_checkpoint_", CallConvs = [typeof(CallConvCdecl)])]
    public static void StartCheckpoint(int* error) => *error = Client.Call(s => s.StartOutput("", Api.Scr.DatasetInfo.Checkpoint, oldStyle: true), "SCR_START_CHECKPOINT");

    [UnmanagedCallersOnly(EntryPoint = "scr_complete_checkpoint_", CallConvs = [typeof(CallConvCdecl)])]
    public static void CompleteCheckpoint(int* valid, int* error)
    {
        int given = *valid;
        *error = Client.CallAndExit(s => s.CompleteOutput(given != 0, oldStyle: true), "SCR_COMPLETE_CHECKPOINT");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_have_restart_", CallConvs = [typeof(CallConvCdecl)])]
    public static void HaveRestart(int* flag, byte* name, int* error, nuint length)
    {
        byte* buffer = stackalloc byte[Client.MaxPath];
        buffer[0] = 0;
        *error = Exports.HaveRestart(flag, buffer, "SCR_HAVE_RESTART");
        Put(Entry.Text(buffer), name, length);
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_start_restart_", CallConvs = [typeof(CallConvCdecl)])]
    public static void StartRestart(byte* name, int* error, nuint length)
    {
        byte* buffer = stackalloc byte[Client.MaxPath];
        buffer[0] = 0;
        *error = Exports.StartRestart(buffer, "SCR_START_RESTART");
        Put(Entry.Text(buffer), name, length);
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_complete_restart_", CallConvs = [typeof(CallConvCdecl)])]
    public static void CompleteRestart(int* valid, int* error)
    {
        int given = *valid;
        *error = Client.Call(s => s.CompleteRestart(given != 0), "SCR_COMPLETE_RESTART");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_current_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Current(byte* name, int* error, nuint length)
    {
        string text = Text(name, length);
        *error = Client.Call(s => s.MakeCurrent(text), "SCR_CURRENT");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_drop_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Drop(byte* name, int* error, nuint length)
    {
        string text = Text(name, length);
        *error = Client.Call(s => s.Drop(text, withFiles: false), "SCR_DROP");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_delete_", CallConvs = [typeof(CallConvCdecl)])]
    public static void Delete(byte* name, int* error, nuint length)
    {
        string text = Text(name, length);
        *error = Client.Call(s => s.Drop(text, withFiles: true), "SCR_DELETE");
    }

    [UnmanagedCallersOnly(EntryPoint = "scr_should_exit_", CallConvs = [typeof(CallConvCdecl)])]
    public static void ShouldExit(int* flag, int* error) => *error = Exports.Flag(flag, s => s.ShouldExit(), "SCR_SHOULD_EXIT");

    [UnmanagedCallersOnly(EntryPoint = "scr_get_version_", CallConvs = [typeof(CallConvCdecl)])]
    public static void GetVersion(byte* version, int* error, nuint length)
    {
        Put("v3.1.0", version, length);
        *error = Client.Success;
    }

    private static string Text(byte* text, nuint length) => Encoding.UTF8.GetString(text, (int)length).TrimEnd(' ', '\0');

    /// <summary>What is longer than the variable is cut off, as in an assignment.</summary>
    private static void Put(string text, byte* into, nuint length)
    {
        Span<byte> variable = new(into, (int)length);
        variable.Fill((byte)' ');
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        bytes.AsSpan(0, Math.Min(bytes.Length, variable.Length)).CopyTo(variable);
    }
}
