using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TreCr.Api.C.Scr;

/// <summary>SCR's C interface, as facts/api.md §2.2 has it. docs/api.md says what differs.</summary>
internal static unsafe class Exports
{
    private static nint s_version;

    [UnmanagedCallersOnly(EntryPoint = "SCR_Init", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Init() => Client.Open();

    [UnmanagedCallersOnly(EntryPoint = "SCR_Finalize", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Finalize() => Client.Close();

    /// <returns>to be freed; null: nothing was asked, or there is no answer</returns>
    [UnmanagedCallersOnly(EntryPoint = "SCR_Config", CallConvs = [typeof(CallConvCdecl)])]
    public static nint SCR_Config(byte* text) => Client.Configure(Entry.Text(text));

    [UnmanagedCallersOnly(EntryPoint = "SCR_Route_file", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Route_file(byte* name, byte* file) => Route(Entry.Text(name), file);

    [UnmanagedCallersOnly(EntryPoint = "SCR_Need_checkpoint", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Need_checkpoint(int* flag) => Flag(flag, s => s.NeedCheckpoint());

    [UnmanagedCallersOnly(EntryPoint = "SCR_Start_output", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Start_output(byte* name, int flags)
    {
        string text = Entry.Text(name);
        return Client.Call(s => s.StartOutput(text, flags));
    }

    [UnmanagedCallersOnly(EntryPoint = "SCR_Complete_output", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Complete_output(int valid) => Client.CallAndExit(s => s.CompleteOutput(valid != 0));

    [UnmanagedCallersOnly(EntryPoint = "SCR_Start_checkpoint", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Start_checkpoint() => Client.Call(s => s.StartOutput("", Api.Scr.DatasetInfo.Checkpoint, oldStyle: true));

    [UnmanagedCallersOnly(EntryPoint = "SCR_Complete_checkpoint", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Complete_checkpoint(int valid) => Client.CallAndExit(s => s.CompleteOutput(valid != 0, oldStyle: true));

    [UnmanagedCallersOnly(EntryPoint = "SCR_Have_restart", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Have_restart(int* flag, byte* name) => HaveRestart(flag, name);

    [UnmanagedCallersOnly(EntryPoint = "SCR_Start_restart", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Start_restart(byte* name) => StartRestart(name);

    [UnmanagedCallersOnly(EntryPoint = "SCR_Complete_restart", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Complete_restart(int valid) => Client.Call(s => s.CompleteRestart(valid != 0));

    [UnmanagedCallersOnly(EntryPoint = "SCR_Current", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Current(byte* name)
    {
        string text = Entry.Text(name);
        return Client.Call(s => s.MakeCurrent(text));
    }

    [UnmanagedCallersOnly(EntryPoint = "SCR_Drop", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Drop(byte* name)
    {
        string text = Entry.Text(name);
        return Client.Call(s => s.Drop(text, withFiles: false));
    }

    [UnmanagedCallersOnly(EntryPoint = "SCR_Delete", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Delete(byte* name)
    {
        string text = Entry.Text(name);
        return Client.Call(s => s.Drop(text, withFiles: true));
    }

    [UnmanagedCallersOnly(EntryPoint = "SCR_Should_exit", CallConvs = [typeof(CallConvCdecl)])]
    public static int SCR_Should_exit(int* flag) => Flag(flag, s => s.ShouldExit());

    /// <returns>not to be freed</returns>
    [UnmanagedCallersOnly(EntryPoint = "SCR_Get_version", CallConvs = [typeof(CallConvCdecl)])]
    public static nint SCR_Get_version() => s_version != 0 ? s_version : s_version = Client.Allocate("v3.1.0");

    internal static int Flag(int* flag, Func<Api.Scr.ScrSession, bool> answer, [CallerMemberName] string name = "")
    {
        if (flag is null) return Client.Failure;
        *flag = 0;
        return Client.Call(s =>
        {
            *flag = answer(s) ? 1 : 0;
        }, name);
    }

    internal static int HaveRestart(int* flag, byte* name, [CallerMemberName] string call = "") => Flag(flag, s =>
    {
        if (s.HaveRestart() is not { } found) return false;
        Client.Put(found, name);
        return true;
    }, call is nameof(HaveRestart) ? "SCR_Have_restart" : call);

    internal static int StartRestart(byte* name, [CallerMemberName] string call = "") => Client.Call(s => Client.Put(s.StartRestart(), name), call);

    internal static int Route(string name, byte* file, [CallerMemberName] string call = "")
    {
        if (file is null) return Client.Failure;
        // Where SCR is off, or does not know the file, the program opens what it named.
        if (System.Text.Encoding.UTF8.GetByteCount(name) < Client.MaxPath) Client.Put(name, file);
        return Client.Call(s => Client.Put(s.Route(name), file), call);
    }
}
