namespace TreCr.Process.Resources;

/// <summary>What an area of memory is made of. On-disk numbers.</summary>
internal enum VmaKind : uint
{
    Refused = 0,
    Anonymous = 1,
    File = 2,
    SharedMemory = 3,
    Segment = 4,
    Pinned = 5,
    Kernel = 6,
    DeletedFile = 7,
    SystemV = 8,
}

/// <summary>What a descriptor refers to. On-disk numbers.</summary>
internal enum DescriptorKind : uint
{
    Refused = 0,
    File = 1,
    Pipe = 2,
    Eventfd = 3,
    Epoll = 4,
    SharedMemory = 5,
    ExternalStream = 6,
    ExternalConnection = 7,
    DeletedFile = 20,
    Fifo = 21,
    Timerfd = 22,
    Signalfd = 23,
    Inotify = 24,
    Pidfd = 25,
    UnixSocket = 26,
    InternetSocket = 27,
    Terminal = 28,
    MessageQueue = 29,
}
