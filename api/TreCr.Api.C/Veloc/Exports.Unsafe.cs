using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TreCr.Api.C.Veloc;

/// <summary>VELOC's C interface, as facts/api.md §1.2 has it. Where its documents and its code differ, docs/api.md says which of them holds here.</summary>
internal static unsafe class Exports
{
    private const int MaxPath = 1024; // VELOC_MAX_NAME

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Init", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Init(nint communicator, byte* configuration) => Client.Open(() => new MpiGroup(communicator, "VELOC_Init"), configuration);

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Init_single", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Init_single(uint id, byte* configuration)
        => Client.Open(() => id <= int.MaxValue ? new SingleRank((int)id) : throw new CheckpointException($"{id}: ids go up to {int.MaxValue}"), configuration);

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Finalize", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Finalize(int drain) => Client.Close(drain != 0);

    // ---- regions ----------------------------------------------------------------------------------------------------------------------

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Mem_protect", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Mem_protect(int id, nint address, nuint count, nuint size) => Protect(id, address, count, size, null);

    /// <summary>VELOC-GPU's longer VELOC_Mem_protect, to which veloc.h leads calls with flags. DEFAULT (0) and READ_ONLY (1), which in async mode let the file be written behind the program.</summary>
    [UnmanagedCallersOnly(EntryPoint = "VELOC_Mem_protect_flags", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Mem_protect_flags(int id, nint address, nuint count, nuint size, uint flags, nint release)
        => flags <= 1 ? Protect(id, address, count, size, null, "VELOC_Mem_protect", (RegionCopy)flags) : Client.Call(_ => throw new CheckpointException($"region {id}: flags {flags} are neither DEFAULT nor READ_ONLY"), "VELOC_Mem_protect");

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Mem_unprotect", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Mem_unprotect(int id) => Client.Call(c => c.Regions.Unprotect(id) ? Client.Success : Client.Failure);

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Mem_clear", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Mem_clear() => Client.Call(c => c.Regions.Clear());

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Region_protect", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Region_protect(int id, nint address, nuint count, nuint size, byte* name) => Protect(id, address, count, size, Entry.Text(name));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Region_unprotect", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Region_unprotect(int id, byte* name) => Client.Call(c => c.Regions.Unprotect(id, Entry.Text(name)) ? Client.Success : Client.Failure);

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Region_clear", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Region_clear(byte* name) => Client.Call(c => c.Regions.Clear(Entry.Text(name)));

    // ---- checkpoints ------------------------------------------------------------------------------------------------------------------

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Route_file", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Route_file(byte* original, byte* routed) => Client.Call(c =>
    {
        byte[] path = Encoding.UTF8.GetBytes(c.Route(Entry.Text(original)) + '\0');
        if (path.Length > MaxPath) throw new CheckpointException($"the scratch directory's name is too long: a path of {path.Length} bytes does not fit into {MaxPath}");
        path.CopyTo(new Span<byte>(routed, MaxPath));
    });

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Cleanup", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Cleanup(byte* name) => Client.Call(c => c.RemoveFromScratch(Entry.Text(name)));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_begin", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_begin(byte* name, int version) => Client.Call(c => c.Begin(Entry.Text(name), version));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_mem", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_mem() => Client.Call(c => c.WriteRegions());

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_selective", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_selective(int mode, int* ids, int count) => Client.Call(c => c.WriteRegions((RegionChoice)mode, Client.Numbers(ids, count)));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_end", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_end(int success) => Client.Call(c => c.End(success != 0));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_wait", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_wait() => Client.Call(c => c.Wait());

    /// <returns>0: nothing is under way; -1: something is</returns>
    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint_finished", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint_finished() => Client.Call(c => c.IsFlushed ? Client.Success : Client.Failure);

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Checkpoint", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Checkpoint(byte* name, int version) => Client.Call(c => c.Take(Entry.Text(name), version));

    // ---- restart ----------------------------------------------------------------------------------------------------------------------

    /// <returns>the newest version up to the given one that every rank can restore; -1: none</returns>
    [UnmanagedCallersOnly(EntryPoint = "VELOC_Restart_test", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Restart_test(byte* name, int version) => Client.Call(c => c.FindVersion(Entry.Text(name), version));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Restart_begin", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Restart_begin(byte* name, int version) => Client.Call(c => c.BeginRestart(Entry.Text(name), version));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Recover_mem", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Recover_mem() => Client.Call(c => c.Recover());

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Recover_selective", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Recover_selective(int mode, int* ids, int count) => Client.Call(c => c.Recover((RegionChoice)mode, Client.Numbers(ids, count)));

    /// <returns>bytes, at most INT_MAX; -1: no such region</returns>
    [UnmanagedCallersOnly(EntryPoint = "VELOC_Recover_size", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Recover_size(int id) => Client.Call(c => (int)Math.Min(c.SavedBytes(id), int.MaxValue));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Restart_end", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Restart_end(int success) => Client.Call(c => c.EndRestart(success != 0));

    [UnmanagedCallersOnly(EntryPoint = "VELOC_Restart", CallConvs = [typeof(CallConvCdecl)])]
    public static int VELOC_Restart(byte* name, int version) => Client.Call(c => c.Restore(Entry.Text(name), version));

    private static int Protect(int id, nint address, nuint count, nuint size, string? name, [CallerMemberName] string call = "", RegionCopy copy = RegionCopy.Written)
        => Client.Call(c => c.Regions.Protect(id, address, checked((long)count), checked((long)size), DeviceMemory.Of(address), name, copy), call is nameof(Protect) ? "VELOC_Mem_protect" : call);
}
