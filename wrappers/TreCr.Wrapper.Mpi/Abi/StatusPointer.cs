namespace TreCr.Wrapper.Mpi;

/// <summary>An MPI_Status of the program, or MPI_STATUS_IGNORE.</summary>
/// <remarks>Layouts: facts/mpi.md §1.1. Open MPI: source, tag, error, cancelled, size_t bytes. MPICH: low count, high count and cancelled, source, tag, error.</remarks>
internal readonly unsafe struct StatusPointer
{
    private readonly int* _words;

    private StatusPointer(nint address) => _words = MpiAbi.IsStatusIgnored(address) ? null : (int*)address;

    public static StatusPointer From(nint address) => new(address);

    public bool IsIgnored => _words == null;

    /// <summary>Element of an array of statuses.</summary>
    public StatusPointer At(int index) => IsIgnored ? this : new StatusPointer((nint)_words + index * MpiAbi.StatusBytes);

    /// <summary>All but the error, which only calls with several requests set.</summary>
    public void Set(in MessageStatus s)
    {
        if (_words == null) return;
        if (MpiAbi.IsMpich)
        {
            (_words[0], _words[1]) = ((int)s.LengthBytes, (int)(s.LengthBytes >> 32) << 1 | (s.IsCancelled ? 1 : 0));
            (_words[2], _words[3]) = (MpiAbi.RankOut(s.Source), s.Tag);
        }
        else
        {
            (_words[0], _words[1], _words[3]) = (s.Source, s.Tag, s.IsCancelled ? 1 : 0);
            *(long*)(_words + 4) = s.LengthBytes;
        }
    }

    /// <summary>What a function of the program has written, all but the error.</summary>
    public MessageStatus Get() => new()
    {
        Source = MpiAbi.Rank(_words[MpiAbi.IsMpich ? 2 : 0]), Tag = _words[MpiAbi.IsMpich ? 3 : 1], IsCancelled = IsCancelled, LengthBytes = LengthBytes,
    };

    public void SetError(ErrorClass error)
    {
        if (_words != null) _words[MpiAbi.IsMpich ? 4 : 2] = MpiAbi.Error(error);
    }

    /// <summary>Bytes received.</summary>
    public long LengthBytes
    {
        get => MpiAbi.IsMpich ? (uint)_words[0] | (long)(_words[1] >> 1) << 32 : *(long*)(_words + 4);
        set
        {
            if (MpiAbi.IsMpich) (_words[0], _words[1]) = ((int)value, (int)(value >> 32) << 1 | (_words[1] & 1));
            else *(long*)(_words + 4) = value;
        }
    }

    public bool IsCancelled
    {
        get => MpiAbi.IsMpich ? (_words[1] & 1) != 0 : _words[3] != 0;
        set
        {
            if (MpiAbi.IsMpich) _words[1] = (_words[1] & ~1) | (value ? 1 : 0);
            else _words[3] = value ? 1 : 0;
        }
    }
}

/// <summary>How a message ended. Ranks in our numbers.</summary>
internal struct MessageStatus
{
    public int Source, Tag;
    public ErrorClass Error;
    public bool IsCancelled;
    public long LengthBytes;

    /// <summary>Of a null request, or one for MPI_PROC_NULL.</summary>
    public static MessageStatus Empty => new() { Source = MpiAbi.AnySource, Tag = MpiAbi.AnyTag };

    public static MessageStatus OfNobody => new() { Source = MpiAbi.ProcNull, Tag = MpiAbi.AnyTag };
}
