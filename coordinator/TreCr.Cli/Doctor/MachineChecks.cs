using System.Globalization;
using System.Runtime.InteropServices;
using TreCr.Control;
using TreCr.Coordinator;
using TreCr.Linux;
using TreCr.Store;

namespace TreCr.Cli;

/// <summary>What <c>trecr doctor</c> asks of libraries, memory, disks and the installation.</summary>
internal static class MachineChecks
{
    /// <summary>The two libraries without which no store can be read.</summary>
    public static DoctorFinding Libraries()
    {
        (string File, string Package)[] needed = [("libzstd.so.1", "libzstd1"), ("libxxhash.so.0", "libxxhash0")];
        (string File, string Package)[] missing = [.. needed.Where(l => !Loads(l.File))];
        return missing.Length == 0 ? DoctorFinding.Ok("libraries", string.Join(", ", needed.Select(l => l.File)))
            : DoctorFinding.Missing("libraries", $"not found: {string.Join(", ", missing.Select(l => l.File))}", $"apt-get install {string.Join(' ', missing.Select(l => l.Package))}");
    }

    private static bool Loads(string file)
    {
        if (!NativeLibrary.TryLoad(file, out nint handle)) return false;
        NativeLibrary.Free(handle);
        return true;
    }

    public static DoctorFinding SharedMemory()
    {
        if (FreeBytes("/dev/shm") is not { } free) return DoctorFinding.Degraded("/dev/shm", "not there", "mount -t tmpfs tmpfs /dev/shm");
        return free < 64 << 20 ? DoctorFinding.Degraded("/dev/shm", $"{Output.Bytes((ulong)free)} free", "mount -o remount,size=50% /dev/shm") : DoctorFinding.Ok("/dev/shm", $"{Output.Bytes((ulong)free)} free");
    }

    public static DoctorFinding RuntimeFiles()
    {
        try { return DoctorFinding.Ok("runtime directory", $"{RuntimeDirectory.Open().Path} (coordinator.log is there)"); }
        catch (TrecrException e) { return DoctorFinding.Missing("runtime directory", e.Message, e.Error.WhatToDo); }
    }

    /// <param name="path">where the store is, or will be made</param>
    /// <param name="readable">the libraries are there</param>
    public static DoctorFinding Store(string path, bool readable)
    {
        string made = Directory.Exists(path) ? "" : " (made at the first run)", existing = path;
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent) existing = parent;
        try
        {
            if (made.Length == 0 && readable) using (SnapshotStore.Open(path, new StoreOptions { Create = false })) { }
        }
        catch (StoreException e) { return DoctorFinding.Missing("store", e.Message, StoreErrors.For(e.Kind).WhatToDo); }
        long free = FreeBytes(existing) ?? 0;
        string text = $"{path}{made}: {Output.Bytes((ulong)free)} free";
        return free < 1 << 30 ? DoctorFinding.Degraded("store", text, "trecr gc, or another --store") : DoctorFinding.Ok("store", text);
    }

    /// <summary>Available memory: a checkpoint buffers up to a quarter of it, so that the program need not wait for the disk.</summary>
    public static DoctorFinding Memory()
    {
        MemoryHeadroom room = MemoryHeadroom.Read();
        string text = $"{Output.Bytes((ulong)room.Bytes)} free to take ({room.Bound})";
        return room.Bytes < 512L << 20 ? DoctorFinding.Degraded("memory", $"{text}: a stop takes as long as writing to the store, and a large checkpoint may fail", "end other programs, or raise what is named")
            : DoctorFinding.Ok("memory", text);
    }

    public static DoctorFinding Parts()
    {
        string[] missing = [.. ((string[])[$"{Installation.Home}/trecr-init", $"{Installation.Home}/lib/libcuda.so.1", $"{Installation.Home}/delegator/trecr-delegator"]).Where(p => !File.Exists(p))];
        return missing.Length == 0 ? DoctorFinding.Ok("installation", Installation.Home) : DoctorFinding.Missing("installation", $"not there: {string.Join(", ", missing)}", "./build.sh, or set TRECR_HOME");
    }

    public static DoctorFinding Limits()
    {
        foreach (string line in File.ReadLines("/proc/self/limits"))
            if (line.StartsWith("Max address space", StringComparison.Ordinal) && !line.Contains("unlimited", StringComparison.Ordinal))
                return DoctorFinding.Missing("limits", "address space is limited: device addresses take 1 TiB of it", "ulimit -v unlimited");
        return DoctorFinding.Ok("limits", "");
    }

    private static long? FreeBytes(string directory)
    {
        long fd = Sys.TryOpen(directory, Sys.O_RDONLY | Sys.O_DIRECTORY | Sys.O_CLOEXEC);
        if (fd < 0) return null;
        try { return Sys.FreeBytes((int)fd); }
        finally { Sys.Close((int)fd); }
    }
}
