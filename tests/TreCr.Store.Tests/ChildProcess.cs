using TreCr.Images;

namespace TreCr.Store.Tests;

/// <summary>What the tests start as a second process: <c>dotnet TreCr.Store.Tests.dll write|hang|commit STORE</c>, or <c>agent DIR SOCKET</c>.</summary>
internal sealed class ChildProcess : StoreTestBase
{
    private static int Main(string[] arguments)
    {
        if (arguments is ["agent", string directory, string socket])
        {
            using Tiers.StoreAgent agent = new(directory, socket);
            Console.WriteLine("ready");
            agent.Run();
            return 0;
        }
        if (arguments is ["seccomp", string mode, string file]) return MappedFileTests.Traced(mode, file);
        if (arguments.Length != 2) return 2;
        using SnapshotStore store = SnapshotStore.Open(arguments[1], Small);
        if (arguments[0] == "commit")
        {
            Checkpoint(store, "job", 2, [.. Enumerable.Range(0, 40).Select(i => ((long)i, Random(i)))]);
            return 0;
        }
        using StoreSnapshotWriter writer = store.BeginSnapshot();
        IPartWriter part = writer.OpenPart("memory", 1L << 47);
        if (arguments[0] == "write")
        {
            Console.WriteLine("ready");
            Console.ReadLine();
        }
        for (int i = 100; i < 300; i++) part.WriteFrame(i * (long)Frame, Soft(i));
        if (arguments[0] == "hang")
        {
            Console.WriteLine("written");
            Thread.Sleep(TimeSpan.FromMinutes(2)); // killed long before
            return 1;
        }
        Console.WriteLine(writer.Finish().ManifestHash);
        return 0;
    }
}
