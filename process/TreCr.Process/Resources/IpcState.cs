using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Engine;

namespace TreCr.Process.Resources;

/// <summary>
/// System V shared memory, semaphores and message queues: all of the job's ipc namespace, with their numbers (next_id of /proc/sys/kernel). What SEM_UNDO would undo at a
/// process's end the kernel does not tell, and times of last use are not kept. Source: sysvipc(7), msgop(2) (MSG_COPY).
/// </summary>
internal static unsafe class IpcState
{
    private const int IPC_CREAT = 0x200, IPC_EXCL = 0x400, IPC_NOWAIT = 0x800, IPC_RMID = 0, IPC_SET = 1, IPC_STAT = 2, SHM_RDONLY = 0x1000, SHM_DEST = 0x200, GETALL = 13, SETALL = 17, MSG_NOERROR = 0x1000, MSG_COPY = 0x4000;
    private const int Frame = ISnapshotWriter.FrameSizeBytes;

    /// <summary>What there is, with contents; null: nothing. The job is frozen.</summary>
    public static IpcImage? Capture(ISnapshotWriter writer)
    {
        IpcImage image = new();
        foreach (long[] f in Table("shm")) // key shmid perms size cpid lpid nattch uid gid …
        {
            IpcSegmentImage segment = new() { Key = (int)f[0], Id = (int)f[1], Mode = (uint)f[2], LengthBytes = (ulong)f[3], User = (uint)f[7], Group = (uint)f[8], Part = $"sysv-{f[1]}" };
            Save(segment, writer.OpenPart(segment.Part, Math.Max(1, f[3])));
            image.Segments.Add(segment);
        }
        foreach (long[] f in Table("sem")) // key semid perms nsems uid gid …
        {
            ushort[] values = new ushort[f[3]];
            fixed (ushort* p = values) Sys.Check(Sys.Raw(SyscallNumber.Semctl, f[1], 0, GETALL, (long)p), "semctl(GETALL)");
            IpcSemaphoresImage set = new() { Key = (int)f[0], Id = (int)f[1], Mode = (uint)f[2], User = (uint)f[4], Group = (uint)f[5] };
            set.Values.AddRange(values.Select(v => (uint)v));
            image.Semaphores.Add(set);
        }
        foreach (long[] f in Table("msg")) // key msqid perms cbytes qnum lspid lrpid uid gid …
        {
            IpcQueueImage queue = new() { Key = (int)f[0], Id = (int)f[1], Mode = (uint)f[2], User = (uint)f[7], Group = (uint)f[8] };
            byte[] buffer = new byte[8 + Math.Max(f[3], 1)];
            fixed (byte* p = buffer)
                for (long i = 0; i < f[4]; i++)
                {
                    long n = Sys.Check(Sys.Raw(SyscallNumber.Msgrcv, f[1], (long)p, buffer.Length - 8, i, IPC_NOWAIT | MSG_COPY | MSG_NOERROR), "msgrcv(MSG_COPY)");
                    queue.Messages.Add(new QueuedMessageImage { Type = *(long*)p, Data = ByteString.CopyFrom(buffer, 8, (int)n) });
                }
            image.Queues.Add(queue);
        }
        return image.Segments.Count + image.Semaphores.Count + image.Queues.Count == 0 ? null : image;
    }

    private static IEnumerable<long[]> Table(string kind)
    {
        string path = "/proc/sysvipc/" + kind;
        if (!File.Exists(path)) yield break;
        foreach (string line in File.ReadLines(path).Skip(1))
        {
            string[] f = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            yield return [.. f.Select((text, i) => i == 2 ? Convert.ToInt64(text, 8) : long.Parse(text))];
        }
    }

    private static void Save(IpcSegmentImage segment, IPartWriter part)
    {
        long at = Attach(segment.Id, SHM_RDONLY);
        try
        {
            for (long offset = 0; offset < (long)segment.LengthBytes; offset += Frame)
            {
                ReadOnlySpan<byte> frame = new((void*)(at + offset), (int)Math.Min(Frame, (long)segment.LengthBytes - offset));
                if (frame.ContainsAnyExcept((byte)0)) part.WriteFrame(offset, frame);
            }
        }
        finally { Sys.Raw(SyscallNumber.Shmdt, at); }
    }

    private static long Attach(int id, int flags) => Sys.Check(Sys.Raw(SyscallNumber.Shmat, id, 0, flags), "shmat", $"segment {id}");

    /// <summary>Makes them again; what an earlier run left in this namespace, which is the job's own, goes.</summary>
    public static void Restore(IpcImage? image, ISnapshotReader reader)
    {
        foreach (long[] f in Table("shm")) Sys.Raw(SyscallNumber.Shmctl, f[1], IPC_RMID, 0);
        foreach (long[] f in Table("sem")) Sys.Raw(SyscallNumber.Semctl, f[1], 0, IPC_RMID);
        foreach (long[] f in Table("msg")) Sys.Raw(SyscallNumber.Msgctl, f[1], IPC_RMID, 0);
        if (image is null) return;
        foreach (IpcSegmentImage s in image.Segments)
        {
            Next("shm", s.Id);
            Made(s.Id, Sys.Raw(SyscallNumber.Shmget, s.Key, (long)s.LengthBytes, IPC_CREAT | IPC_EXCL | s.Mode & 0x1ff), "shmget");
            long at = Attach(s.Id, 0);
            try
            {
                IPartReader part = reader.OpenPart(s.Part);
                byte[] buffer = new byte[Frame];
                foreach (long offset in part.FrameOffsets)
                {
                    part.ReadFrame(offset, buffer);
                    buffer.AsSpan(0, (int)Math.Min(Frame, (long)s.LengthBytes - offset)).CopyTo(new Span<byte>((void*)(at + offset), Frame));
                }
            }
            finally { Sys.Raw(SyscallNumber.Shmdt, at); }
            Own(SyscallNumber.Shmctl, s.Id, s.User, s.Group, s.Mode, 112);
        }
        foreach (IpcSemaphoresImage s in image.Semaphores)
        {
            Next("sem", s.Id);
            Made(s.Id, Sys.Raw(SyscallNumber.Semget, s.Key, s.Values.Count, IPC_CREAT | IPC_EXCL | s.Mode & 0x1ff), "semget");
            ushort[] values = [.. s.Values.Select(v => (ushort)v)];
            fixed (ushort* p = values) Sys.Check(Sys.Raw(SyscallNumber.Semctl, s.Id, 0, SETALL, (long)p), "semctl(SETALL)");
        }
        foreach (IpcQueueImage q in image.Queues)
        {
            Next("msg", q.Id);
            Made(q.Id, Sys.Raw(SyscallNumber.Msgget, q.Key, IPC_CREAT | IPC_EXCL | q.Mode & 0x1ff), "msgget");
            foreach (QueuedMessageImage m in q.Messages)
            {
                byte[] buffer = [.. BitConverter.GetBytes(m.Type), .. m.Data];
                fixed (byte* p = buffer) Sys.Check(Sys.Raw(SyscallNumber.Msgsnd, q.Id, (long)p, m.Data.Length, IPC_NOWAIT), "msgsnd", $"queue {q.Id}");
            }
        }
    }

    /// <summary>When every process has what it had attached: segments that were removed while in use go with their last user again.</summary>
    public static void Finish(IpcImage? image)
    {
        foreach (IpcSegmentImage s in image?.Segments ?? [])
            if ((s.Mode & SHM_DEST) != 0) Sys.Raw(SyscallNumber.Shmctl, s.Id, IPC_RMID, 0);
    }

    private static void Next(string kind, int id) => File.WriteAllText($"/proc/sys/kernel/{kind}_next_id", id.ToString());

    private static void Made(int wanted, long result, string call)
    {
        Sys.Check(result, call, $"number {wanted}");
        if (result != wanted) throw new ProcessException($"{call}: number {result} instead of {wanted}");
    }

    /// <summary>Owner and mode, where they are not this user's.</summary>
    private static void Own(SyscallNumber call, int id, uint user, uint group, uint mode, int bytes)
    {
        byte* data = stackalloc byte[bytes]; // struct shmid_ds begins with struct ipc64_perm: key, uid, gid, cuid, cgid, mode
        if (Sys.Raw(call, id, IPC_STAT, (long)data) < 0) return;
        (((uint*)data)[1], ((uint*)data)[2], ((uint*)data)[5]) = (user, group, mode & 0x1ff);
        Sys.Raw(call, id, IPC_SET, (long)data);
    }
}
