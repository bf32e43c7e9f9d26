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
            using StoreSnapshotWriter next = store.BeginSnapshot(LastOf(store));
            IPartWriter memory = next.OpenPart("memory", 1L << 47);
            for (int i = 0; i < 40; i++) memory.WriteFrame(i * (long)Frame, Random(i));
            store.CommitCheckpoint(Job("job", 2, next.Finish().ManifestHash));
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
