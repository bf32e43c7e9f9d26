using System.Text;
using TreCr.Images;
using TreCr.Linux;

namespace TreCr.Process.Host;

/// <summary>The engine inside the namespace: one text command a datagram on descriptor 3, one answer each. Snapshots are kept in memory, or in files.</summary>
internal static class EngineLoop
{
    public static int Run()
    {
        using ProcessEngine engine = new();
        if (long.TryParse(Environment.GetEnvironmentVariable("TRECR_TEST_SAVE_BELOW"), out long below)) engine.SaveFilesBelowBytes = below;
        Dictionary<string, MemorySnapshot> snapshots = [];
        int prepared = 0;
        byte[] buffer = new byte[8192];
        int[] descriptors = new int[Sys.MaxPassedDescriptors];
        string last = "";
        while (true)
        {
            long n = Sys.Receive(3, buffer, descriptors, out int count);
            if (n <= 0) return 0;
            string[] f = Encoding.UTF8.GetString(buffer, 0, (int)n).Split('\t');
            string answer = "ok";
            int[] passed = [];
            try
            {
                switch (f[0])
                {
                    case "fault": Fault.Arm(f[1]); break;
                    case "check": answer = "ok\t" + string.Join("\t", engine.Check(int.Parse(f[1]), Externals(f, 2))); break;
                    case "prepare":
                        // Every other one has hardly any buffers, so that frames that are written again find none to be held in.
                        snapshots[f[2]] = new MemorySnapshot(last.Length > 0 ? snapshots[last] : null) { MostTaken = prepared++ % 2 == 0 ? int.MaxValue : 4 };
                        engine.Prepare(int.Parse(f[1]), snapshots[f[2]]);
                        engine.Refine(snapshots[f[2]], 200);
                        break;
                    case "freeze": engine.Freeze(int.Parse(f[1])); break;
                    case "capture":
                        if (!snapshots.TryGetValue(f[1], out MemorySnapshot? snapshot)) snapshots[f[1]] = snapshot = new MemorySnapshot();
                        CaptureResult result = engine.Capture(snapshot, Externals(f, 2));
                        answer = $"ok\t{result.MemoryBytes}\t{result.Microseconds}\t{result.ThreadCount}";
                        break;
                    case "commit": engine.Commit(); last = f[1]; break;
                    case "abort": engine.Abort(); break;
                    case "resume": engine.Resume(); break;
                    case "kill": engine.Kill(); break;
                    case "forget": snapshots.Remove(f[1]); break;
                    case "save": SnapshotFile.Write(snapshots[f[1]], f[2]); break;
                    case "load": snapshots[f[1]] = SnapshotFile.Read(f[2]); break;
                    case "needs": SnapshotFile.AddProcessorFlags(snapshots[f[1]], f[2]); break;
                    case "compare": answer = SnapshotFile.Difference(snapshots[f[1]], snapshots[f[2]]) is { } difference ? "error\t" + difference : "ok"; break;
                    case "restore":
                        GivenDescriptors given = new();
                        for (int i = 0; i < 3 && i < count; i++) given.Streams[i] = descriptors[i];
                        if (count >= 6) given.Sessions[0] = (descriptors[3], descriptors[4], descriptors[5]);
                        answer = $"ok\t{engine.Restore(snapshots[f[1]], given, lazy: f.Length > 2)}\t{engine.LazyNotice}";
                        passed = [.. engine.LazyDescriptors];
                        break;
                    case "takeover":
                        int[] own = descriptors[..count];
                        count = 0;
                        engine.TakeOver(snapshots[f[1]], own);
                        break;
                    case "release": engine.Release(); break;
                    case "discard": engine.Discard(); break;
                    default: answer = "error\tunknown command " + f[0]; break;
                }
            }
            catch (Exception e) { answer = $"error\t{e.GetType().Name}: {e.Message}" + (e is Engine.RefusedException ? "" : "\n" + e.StackTrace); }
            for (int i = 0; i < count; i++) Sys.Close(descriptors[i]);
            byte[] reply = Encoding.UTF8.GetBytes(answer);
            Sys.Send(3, reply.AsSpan(0, Math.Min(reply.Length, 7000)), passed);
        }
    }

    private static ExternalObjects Externals(string[] f, int from)
    {
        ExternalObjects externals = new();
        for (int i = from; i < f.Length; i++)
        {
            if (f[i].StartsWith("session ")) externals.Sessions.Add(new ExternalSession(0, f[i][8..]));
            else externals.Streams.Add(new ExternalStream(i - from, f[i]));
        }
        return externals;
    }
}
