namespace TreCr.Api.Gpi;

/// <summary>
/// What a description (gpi_cp_description_t) stands for: bytes of a segment, a mirror with two generations of them, and the group whose ranks take a generation together.
/// </summary>
/// <remarks>
/// Why a good generation is never lost: generation g goes into the half of g - 2, and begins only after this rank knows that all have g - 1 whole (the commit of g - 1 has ended well). So at any moment the newest generation
/// that any rank knows to be committed is whole at all of them, and a restore takes that one. What the ranks know is decided by the agent for all of them at once (<see cref="GpiAgent"/>).
/// </remarks>
public sealed class MirroredCheckpoint : IDisposable
{
    private readonly GpiSession _session;
    private string _name = "";
    private byte _segment;
    private ulong _offset;
    private ushort[] _places = [];
    private ushort[] _mirrors = [];
    private int _place, _next;
    private uint _era; // how often it was restored
    private ulong _committed, _started;
    private MirrorImage? _image;
    private MirrorCopy? _copy;
    private MirrorImage? _received;
    private long _bytes;

    public MirroredCheckpoint(GpiSession session) => _session = session;

    /// <summary>For <see cref="MirrorPolicy.User"/>: place and number of places to the place of the mirror.</summary>
    public Func<int, int, int>? UserMirror { get; set; }

    /// <summary>Copies of higher ones go first.</summary>
    public int Priority { get; set; }

    /// <summary>Whether init or restore has ended well on this rank as a member.</summary>
    public bool IsOpen => _image is not null;

    /// <summary>Started, and not committed.</summary>
    public bool IsInProgress => _started != 0;

    /// <summary>Where the half begins that is written next: 0, or the size.</summary>
    public long NextOffset => _next * _bytes;

    /// <summary>Both halves of the mirror that this rank holds for another, at which it may look; 0: it holds none.</summary>
    public nint Received { get; private set; }

    /// <summary>Place that this rank stands for.</summary>
    public int Place => _place;

    /// <summary>Generation that was committed last; 0: none.</summary>
    public ulong Committed => _committed;

    /// <summary>Bytes that the last start had to copy; the rest was there.</summary>
    public long ChangedBytes => _copy?.ChangedBytes ?? 0;

    /// <summary>gpi_cp_init.</summary>
    public async Task Open(byte segment, ulong offset, ulong bytes, MirrorPolicy policy, GpiGroup group)
    {
        if (group.IsCommitted && !group.Places.Contains(_session.Rank)) return; // of no concern to this rank
        if (IsOpen) throw new GpiException(GpiCode.Error, "this description is in use");
        ushort[] places = group.Places, mirrors = [];
        MirrorImage? image = null;
        GpiException? problem = Try(() =>
        {
            Memory(segment, offset, bytes);
            mirrors = MirrorMap.Make(policy, places.Length, UserMirror);
            image = MirrorImage.Create((long)bytes);
        });
        try
        {
            string name = $"mirror/{group.NextDescription()}";
            int place = Array.IndexOf(places, _session.Rank);
            if (image is not null) _session.Keep(ImageName(name, place), image.Descriptor);
            byte[][] all = await group.Gather("init", Frame.Pack(w =>
            {
                w.Write((int)(problem?.Code ?? GpiCode.Success));
                w.Write(bytes);
                w.Write((int)policy);
                Frame.WriteRanks(w, mirrors);
            }));
            if (problem is not null) throw problem;
            for (int i = 0; i < all.Length; i++)
            {
                (int code, ulong theirs, int theirPolicy, ushort[] theirMirrors) = Frame.Unpack(all[i], r => (r.ReadInt32(), r.ReadUInt64(), r.ReadInt32(), Frame.ReadRanks(r)));
                if (code != 0) throw new GpiException(GpiCode.Error, $"rank {places[i]} cannot take part ({(GpiCode)code})");
                if (theirs != bytes || theirPolicy != (int)policy || !theirMirrors.AsSpan().SequenceEqual(mirrors)) throw new GpiException(GpiCode.Error, $"rank {places[i]} gives another size ({theirs}, not {bytes}) or policy");
            }
            (_name, _segment, _offset, _bytes, _places, _mirrors, _place, _next, _committed, _started, _era) = (name, segment, offset, (long)bytes, places, mirrors, place, 0, 0, 0, 0);
            (_image, image) = (image, null);
            await LookAtReceived();
        }
        finally { image?.Dispose(); }
    }

    /// <summary>gpi_cp_start: returns at once; the memory must not change until the commit has ended.</summary>
    public void Start()
    {
        MirrorImage image = Image();
        if (IsInProgress) throw new GpiException(GpiCode.Error, "the checkpoint that was started is not committed");
        nint memory = Memory(_segment, _offset, (ulong)_bytes); // it may have been deleted meanwhile
        _started = _committed + 1;
        _copy = new MirrorCopy(image, _next, _started, memory, Priority);
        _session.Copier.Add(_copy);
    }

    /// <summary>gpi_cp_commit: ends when all ranks have the generation whole.</summary>
    public async Task Commit()
    {
        Image();
        if (!IsInProgress) return;
        (uint era, ulong generation) = (_era, _started);
        await _copy!.Done;
        await _session.Gather($"{_name}: commit {era} {generation}", _places, []);
        if (_era != era) return; // a restore has come in between: it knew of this
        (_committed, _started, _next) = (generation, 0, 1 - _next);
        ForgetOwnChanges();
    }

    /// <summary>gpi_cp_restore: for a rank that had the description, and for one with a new one, which takes the place of one that is not there any more.</summary>
    public async Task Restore(byte segment, ulong offset, ulong bytes, MirrorPolicy policy, GpiGroup group)
    {
        if (_copy is { } copy)
        {
            copy.Cancel();
            await copy.Done;
        }
        nint memory = 0;
        GpiException? problem = Try(() =>
        {
            memory = Memory(segment, offset, bytes);
            if (IsOpen && (ulong)_bytes != bytes) throw new GpiException(GpiCode.BadSize, $"the checkpoint has {_bytes} bytes, not {bytes}");
        });
        byte[][] all = await group.Gather("restore", Frame.Pack(w =>
        {
            w.Write((int)(problem?.Code ?? GpiCode.Success));
            w.Write(bytes);
            w.Write((int)policy);
            w.Write(_name);
            w.Write(_era);
            w.Write(_committed);
            Frame.WriteRanks(w, _places);
            Frame.WriteRanks(w, _mirrors);
        }));
        if (problem is not null) throw problem;
        RestoreOffer[] offers = [.. all.Select(o => Frame.Unpack(o, RestoreOffer.Read))];
        RestorePlan plan = RestorePlan.Make(group.Places, offers, bytes, policy);
        int place = Array.IndexOf(plan.Places, _session.Rank);
        MirrorImage? image = _image;
        int half = 0;
        problem = null;
        try
        {
            // A spare takes over the mirror itself, which outlived its rank.
            if (image is null || place != _place || plan.Name != _name) image = MirrorImage.Open(await _session.Fetch(ImageName(plan.Name, place)), (long)bytes);
            half = image.Generation(0) == plan.Generation ? 0 : 1;
            if (image.Generation(half) != plan.Generation) problem = new GpiException(GpiCode.Error, $"the mirror of place {place} does not have checkpoint {plan.Generation}");
            else image.Read(half, memory);
        }
        catch (GpiException e) { problem = e; }
        byte[][] ends = [];
        try
        {
            ends = await group.Gather("restored", Frame.Pack(w => w.Write(problem is null)));
        }
        catch (GpiException)
        {
            if (image != _image) image?.Dispose();
            throw;
        }
        if (problem is null && Array.FindIndex(ends, e => !Frame.Unpack(e, r => r.ReadBoolean())) is >= 0 and var at) problem = new GpiException(GpiCode.Error, $"rank {group.Places[at]} could not restore");
        if (problem is not null)
        {
            if (image != _image) image?.Dispose();
            throw problem;
        }
        if (image != _image) _image?.Dispose();
        (_name, _segment, _offset, _bytes, _places, _mirrors, _place, _next, _committed, _started, _era, _image, _copy) =
            (plan.Name, segment, offset, (long)bytes, plan.Places, plan.Mirrors, place, 1 - half, plan.Generation, 0, plan.Era, image, null);
        await LookAtReceived();
    }

    /// <summary>gpi_cp_read_buddy: what was committed last goes into the half of <see cref="Received"/> that is written next.</summary>
    public void ReadBuddy()
    {
        MirrorImage image = Image();
        if (_committed == 0) throw new GpiException(GpiCode.Error, "nothing is committed");
        if (Received == 0) throw new GpiException(GpiCode.Error, "this rank holds nobody's mirror");
        image.Read(1 - _next, Received + (nint)NextOffset);
    }

    /// <summary>gpi_cp_finalize: all ranks end the checkpoint.</summary>
    public async Task Close()
    {
        if (!IsOpen) return;
        try
        {
            if (_copy is { } copy)
            {
                copy.Cancel();
                await copy.Done;
            }
            await _session.Gather($"{_name}: end {_era}", _places, []);
            _session.Drop(_name + "/");
        }
        finally { Dispose(); }
    }

    public void Dispose()
    {
        if (_copy is { } copy)
        {
            copy.Cancel();
            copy.Done.Wait();
        }
        _image?.Dispose();
        Unlook();
        (_image, _copy, _started, _committed, _name, _places, _mirrors) = (null, null, 0, 0, "", [], []);
    }

    private MirrorImage Image() => _image ?? throw new GpiException(GpiCode.Error, "gpi_cp_init comes first");

    private nint Memory(byte segment, ulong offset, ulong bytes)
        => bytes == 0 ? throw new GpiException(GpiCode.BadSize, "a checkpoint of no bytes") : _session.Segments.Range(segment, offset, bytes);

    private static GpiException? Try(Action body)
    {
        try
        {
            body();
            return null;
        }
        catch (GpiException e) { return e; }
    }

    private async Task LookAtReceived()
    {
        Unlook();
        int from = Array.IndexOf(_mirrors, (ushort)_place);
        if (from < 0) return;
        _received = MirrorImage.Open(await _session.Fetch(ImageName(_name, from)), _bytes);
        Received = _received.MapPrivately();
    }

    private void Unlook()
    {
        if (Received != 0) MirrorImage.Unmap(Received, _bytes);
        _received?.Dispose();
        (Received, _received) = (0, null);
    }

    private void ForgetOwnChanges()
    {
        if (Received != 0) MirrorImage.ForgetChanges(Received, _bytes);
    }

    private static string ImageName(string name, int place) => $"{name}/{place}";
}
