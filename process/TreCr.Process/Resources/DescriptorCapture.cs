using Google.Protobuf;
using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;

namespace TreCr.Process.Resources;

/// <summary>Descriptors of a frozen process.</summary>
internal sealed class DescriptorCapture(int pid, ProcessImage image, Classification classification, FileCapture files, SharedMemoryCapture memory)
{
    public void Run(List<OpenDescriptor> descriptors)
    {
        HashSet<string> pipesWithData = [];
        foreach (OpenDescriptor d in descriptors)
        {
            var (kind, number) = classification.Of(d, pid);
            DescriptorImage to = new() { Number = d.Number, Kind = (uint)kind, Link = d.Link, Flags = d.Flags, Position = d.Position, SameAs = -1 };
            foreach (DescriptorImage earlier in image.Descriptors)
                if (earlier.SameAs < 0 && earlier.Link == d.Link && Sys.Kcmp(pid, pid, 0, earlier.Number, d.Number) == 0) { to.SameAs = earlier.Number; break; }
            image.Descriptors.Add(to);
            switch (kind)
            {
                case DescriptorKind.ExternalStream or DescriptorKind.ExternalConnection: to.Index = (uint)number; break;
                case DescriptorKind.Eventfd: (to.Count, to.Semaphore) = (d.EventCount, d.EventSemaphore); break;
                case DescriptorKind.Epoll:
                    foreach (var (target, events, data) in d.EpollTargets) to.EpollTargets.Add(new EpollTarget { Number = target, Events = events, Data = data });
                    break;
                case DescriptorKind.SharedMemory: to.Index = memory.NoteDescriptor(d.Number, d.Link); break;
                case DescriptorKind.File: to.Index = files.Note(d.Link, d.CanWrite, (d.Flags & Sys.O_APPEND) != 0, mapped: false); break;
                case DescriptorKind.Pipe:
                    bool reads = (d.Flags & 3) != Sys.O_WRONLY;
                    (byte[] data2, uint capacity) = PipeContent.Read(pid, d.Number, reads && !pipesWithData.Contains(d.Link));
                    if (reads) pipesWithData.Add(d.Link);
                    (to.Data, to.Capacity) = (ByteString.CopyFrom(data2), capacity);
                    break;
            }
        }
    }
}
