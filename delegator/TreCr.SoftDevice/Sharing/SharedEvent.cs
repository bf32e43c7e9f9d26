using TreCr.SoftDevice.Collectives;

namespace TreCr.SoftDevice.Sharing;

/// <summary>The state of an event that several processes record and wait for. A record whose process has ended counts as reached: its work is over.</summary>
/// <remarks>Up to <see cref="TokenPage.Places"/> records of one event can be under way at a time and be told apart.</remarks>
sealed unsafe class SharedEvent(TokenFile file) : IDisposable
{
    const int LookMs = 100; // how often a process that has not got there is looked at

    long nextLook;

    /// <summary>Number of the last record; 0: it was never recorded.</summary>
    public ulong Last => Volatile.Read(ref file.Page->Issued);

    /// <summary>A record is being put into a stream.</summary>
    /// <returns>its number</returns>
    public ulong Issue()
    {
        ulong number = Interlocked.Increment(ref file.Page->Issued);
        Volatile.Write(ref Place(number), (uint)number | (ulong)(uint)Environment.ProcessId << 32);
        return number;
    }

    /// <summary>The stream has got there.</summary>
    public void Reach(ulong number)
    {
        ulong issued = (uint)number | (ulong)(uint)Environment.ProcessId << 32;
        Interlocked.CompareExchange(ref Place(number), (uint)number, issued);
    }

    /// <param name="number">of a record; 0: none</param>
    public bool IsReached(ulong number)
    {
        if (number == 0) return true;
        ulong place = Volatile.Read(ref Place(number));
        int ahead = (int)((uint)place - (uint)number);
        if (ahead != 0) return ahead > 0; // a later one has its place: this one is long over
        int pid = (int)(place >> 32);
        if (pid == 0) return true;
        if (pid == Environment.ProcessId || Environment.TickCount64 < nextLook) return false;
        nextLook = Environment.TickCount64 + LookMs;
        return ProcessStart.Of(pid) == 0;
    }

    ref ulong Place(ulong number) => ref file.Page->Records[number % TokenPage.Places];

    public void RemoveName() => file.RemoveName();

    public void Dispose() => file.Dispose();
}
