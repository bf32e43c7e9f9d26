using TreCr.Images;
using TreCr.Linux;
using TreCr.Process.Read;
using TreCr.Process.Restore;

namespace TreCr.Process.Resources;

/// <summary>timerfd_create(2): remaining time, interval, expirations that nobody has read. Source: fs/timerfd.c (fdinfo, TFD_IOC_SET_TICKS).</summary>
internal sealed unsafe class TimerfdKind : OpenFileKind
{
    private const int CLOCK_REALTIME = 0, CLOCK_REALTIME_ALARM = 8, TFD_TIMER_ABSTIME = 1;
    private const long TFD_IOC_SET_TICKS = 0x40085400;

    public override DescriptorKind Kind => DescriptorKind.Timerfd;

    public override bool Owns(OpenDescriptor d, ExternalObjects externals) => d.Link == "anon_inode:[timerfd]";

    public override void Capture(OpenDescriptor d, OpenFileImage to, OpenFileTable table) => to.Part().Timerfd = new TimerfdImage
    {
        Clock = int.Parse(d.Value("clockid")), Ticks = ulong.Parse(d.Value("ticks")), SetFlags = Convert.ToUInt32(d.Value("settime flags"), 8),
        ValueNs = Nanoseconds(d.Value("it_value")), IntervalNs = Nanoseconds(d.Value("it_interval")), RealtimeNs = Sys.ClockNs(CLOCK_REALTIME),
    };

    public override void Open(OpenFileImage image, OpenFileRestore files)
        => files.Set(image, (int)Sys.Check(Sys.Raw(SyscallNumber.TimerfdCreate, image.Object.Timerfd.Clock, Sys.O_CLOEXEC | image.Flags & (uint)Sys.O_NONBLOCK), "timerfd_create"));

    /// <summary>
    /// A time of the wall clock stays that time; everything else has as long to go as at the checkpoint (the job's monotonic clock goes on from there).
    /// </summary>
    public override void Finish(OpenFileImage image, OpenFileRestore files)
    {
        TimerfdImage t = image.Object.Timerfd;
        int fd = files.Get(image);
        // Expired and not read: the kernel starts the next period only when it is read.
        long value = t.ValueNs == 0 && t.IntervalNs != 0 && t.Ticks != 0 ? t.IntervalNs : t.ValueNs;
        if (value != 0 || t.IntervalNs != 0)
        {
            bool wall = (t.SetFlags & TFD_TIMER_ABSTIME) != 0 && t.Clock is CLOCK_REALTIME or CLOCK_REALTIME_ALARM;
            if (wall) value += t.RealtimeNs;
            long* times = stackalloc long[4];
            (times[0], times[1], times[2], times[3]) = (t.IntervalNs / 1_000_000_000, t.IntervalNs % 1_000_000_000, value / 1_000_000_000, value % 1_000_000_000);
            Sys.Check(Sys.Raw(SyscallNumber.TimerfdSettime, fd, wall ? t.SetFlags : 0, (long)times), "timerfd_settime");
        }
        ulong ticks = t.Ticks;
        if (ticks != 0) Sys.Check(Sys.Raw(SyscallNumber.Ioctl, fd, TFD_IOC_SET_TICKS, (long)&ticks), "ioctl(TFD_IOC_SET_TICKS)");
    }

    // (4, 990995755)
    private static long Nanoseconds(string text)
    {
        string[] f = text.Trim('(', ')').Split(',');
        return f.Length == 2 ? long.Parse(f[0]) * 1_000_000_000 + long.Parse(f[1]) : 0;
    }
}
