namespace TreCr.Surface.Tests.Differential;

/// <summary>One call of a sequence.</summary>
/// <param name="Arguments">numbers as tests/programs/cuda/sequence.c takes them; places are indices, -1 the legacy stream or a null pointer</param>
/// <param name="Expected">result code of the real driver; null: it is not told beforehand</param>
internal sealed record SequenceCall(string Name, long[] Arguments, int? Expected)
{
    public override string ToString() => $"{Name} {string.Join(' ', Arguments)}";
}

/// <summary>
/// A random sequence of driver calls with the codes that the real driver gives: right ones, and such with lengths, flags, addresses and handles that are wrong. Sources: CUDA Driver API; facts/cuda.md, sections 4.1 to 4.3;
/// facts/cuda-trace.md, section 1.5 (codes go to the program unchanged).
/// </summary>
internal sealed class Sequence
{
    public const int Places = 8;
    private const int Ok = 0, InvalidValue = 1, OutOfMemory = 2, InvalidImage = 200, InvalidPtx = 218, InvalidHandle = 400, NotFound = 500;

    private readonly Random _random;
    private readonly long[] _memory = new long[Places];   // bytes of what is there; 0: nothing
    private readonly long[] _host = new long[Places];
    private readonly bool[] _stream = new bool[Places], _event = new bool[Places], _recorded = new bool[Places], _untimed = new bool[Places], _apart = new bool[Places];
    private readonly List<SequenceCall> _calls = [];

    /// <param name="holdAt">number of the call before which the program waits; -1: none</param>
    public Sequence(int seed, int count, int holdAt = -1)
    {
        _random = new Random(seed);
        while (_calls.Count < count)
        {
            if (holdAt >= 0 && _calls.Count >= holdAt)
            {
                Add("hold", Ok);
                holdAt = -1;
            }
            Next();
        }
        Add("synchronize", Ok);
        for (int m = 0; m < Places; m++)
            if (_memory[m] > 0) Add("dtoh", Ok, m, 0, _memory[m]);
    }

    public IReadOnlyList<SequenceCall> Calls => _calls;

    private void Add(string name, int? expected, params long[] arguments) => _calls.Add(new SequenceCall(name, arguments, expected));

    private int Place => _random.Next(Places);

    private bool Rarely => _random.Next(8) == 0;

    private int? Live(long[] sizes) => Pick(p => sizes[p] > 0);

    private int? Pick(Func<int, bool> wanted)
    {
        int[] all = [.. Enumerable.Range(0, Places).Where(wanted)];
        return all.Length == 0 ? null : all[_random.Next(all.Length)];
    }

    /// <summary>The legacy stream or one that exists; sometimes one that does not. Before one that does not wait for the legacy stream all is waited for, so that there is one right result.</summary>
    private (long Place, bool Exists) Stream()
    {
        int place = _random.Next(-1, Places);
        if (place >= 0 && !_stream[place] && !Rarely) place = -1;
        if (place >= 0 && _stream[place] && _apart[place]) Add("synchronize", Ok);
        return (place, place < 0 || _stream[place]);
    }

    /// <summary>A range of an allocation, sometimes over its end.</summary>
    private (long Start, long Bytes, bool Inside) Range(int place, int unit)
    {
        long size = _memory[place], start = _random.NextInt64(size) / unit * unit, bytes = _random.NextInt64(size - start + 1) / unit * unit;
        if (!Rarely) return (start, bytes, true);
        bytes = (size - start + unit + _random.Next(1000)) / unit * unit;
        return (start, bytes, start + bytes <= size);
    }

    private static int Code(bool right, int wrong = InvalidValue) => right ? Ok : wrong;

    private void Next()
    {
        One();
        if (_calls.Count > 0 && _calls[^1] is { Name: "set8" or "set16" or "set32" or "dtod", Arguments: [.., var stream] } && stream >= 0) Add("synchronize", Ok);
    }

    private void One()
    {
        int place = Place;
        switch (_random.Next(34))
        {
            case 0 or 1 or 2: Allocate(place); break;
            case 3: Free(); break;
            case 4 or 5 when Live(_memory) is { } m: Set(m); break;
            case 6 when Live(_memory) is { } m:
                long pitch = 4 * _random.Next(1, 64), width = _random.Next(1, (int)(pitch / 4) + (Rarely ? 4 : 1)), height = _random.Next(0, 20);
                bool fits = height == 0 || (height == 1 || width * 4 <= pitch) && pitch * (height - 1) + width * 4 <= _memory[m];
                Add("rows32", Code(fits), m, pitch, width, height, _random.Next());
                break;
            case 7 or 8 or 9 when Live(_memory) is { } m:
            {
                (long start, long bytes, bool inside) = Range(m, 1);
                Add("htod", Code(inside), m, start, bytes, _random.Next(1000));
                break;
            }
            case 10 or 11 or 12 when Live(_memory) is { } m:
            {
                (long start, long bytes, bool inside) = Range(m, 1);
                Add("dtoh", Code(inside), m, start, bytes);
                break;
            }
            case 13 when Live(_memory) is { } m && Live(_memory) is { } from && m != from:
            {
                (long start, long bytes, bool inside) = Range(m, 1);
                long begin = _random.NextInt64(_memory[from]);
                (long s, bool exists) = Stream();
                bool fitsFrom = begin + bytes <= _memory[from];
                if (!exists && bytes == 0) break; // whether nothing in a stream that does not exist is an error nobody promises
                Add("dtod", !exists ? InvalidHandle : bytes == 0 ? Ok : Code(inside && fitsFrom), m, start, from, begin, bytes, s);
                if (!exists && !(inside && fitsFrom)) _calls[^1] = _calls[^1] with { Expected = null }; // either code is right
                break;
            }
            case 14 when Live(_memory) is { } m: Add("range", Ok, m, _random.NextInt64(_memory[m])); break;
            case 15 when Live(_memory) is { } m: Add("pointer", Ok, m, _random.NextInt64(_memory[m])); break;
            case 16 or 17 or 18: Launch(); break;
            case 19:
            {
                int flags = Rarely ? 2 + _random.Next(6) : _random.Next(2);
                if (_stream[place]) break;
                Add("newstream", Code(flags < 2), place, flags);
                (_stream[place], _apart[place]) = (flags < 2, flags == 1);
                break;
            }
            case 20 when Rarely || _stream[place]:
                Add("endstream", Code(_stream[place], InvalidHandle), place);
                _stream[place] = false;
                break;
            case 21 or 22:
            {
                (long s, bool exists) = Stream();
                Add("wait", Code(exists, InvalidHandle), s);
                if (exists && s >= 0) Add("query", Ok, s); // the one thread that gives it work is here
                break;
            }
            case 23 when Rarely || _stream[place]: Add("flags", Code(_stream[place], InvalidHandle), place); break;
            case 24:
            {
                int flags = Rarely ? 8 + _random.Next(8) : _random.Next(4);
                if (_event[place]) break;
                Add("newevent", Code(flags < 8), place, flags);
                (_event[place], _recorded[place], _untimed[place]) = (flags < 8, false, (flags & 2) != 0);
                break;
            }
            case 25 when Rarely || _event[place]:
                Add("endevent", Code(_event[place], InvalidHandle), place);
                _event[place] = false;
                break;
            case 26 or 27:
            {
                (long s, bool exists) = Stream();
                if (!_event[place] && !Rarely) break;
                Add("record", Code(exists && _event[place], InvalidHandle), place, s);
                _recorded[place] |= exists && _event[place];
                break;
            }
            case 28 when Rarely || _event[place]:
                Add("eventwait", Code(_event[place], InvalidHandle), place);
                int other = Place;
                if (!_event[place] || !_event[other]) break;
                if (_recorded[other]) Add("eventwait", Ok, other);
                bool timed = _recorded[place] && _recorded[other] && !_untimed[place] && !_untimed[other];
                Add("elapsed", Code(timed, InvalidHandle), place, other);
                break;
            case 29 when Pick(p => _event[p]) is { } e:
            {
                (long s, bool exists) = Stream();
                Add("waitevent", Code(exists, InvalidHandle), s, e);
                break;
            }
            case 30: Host(place); break;
            case 31:
                switch (_random.Next(4))
                {
                    case 0: { int known = _random.Next(2); Add("function", Code(known == 1, NotFound), known); break; }
                    case 1: { int known = _random.Next(2); Add("global", Code(known == 1, NotFound), known); break; }
                    case 2: { int kind = _random.Next(3); Add("load", kind switch { 0 => Ok, 1 => InvalidImage, _ => InvalidPtx }, kind); break; }
                    default: { int limit = _random.Next(4); Add("limit", Ok, limit); break; }
                }
                break;
            case 32:
            {
                int attribute = _random.Next(-1, 9);
                Add("attribute", attribute < 0 ? InvalidValue : Ok, attribute);
                break;
            }
            case 33:
                if (_random.Next(2) == 0) Add("occupancy", null, _random.Next(1, 1100), _random.Next(3) * 20_000);
                else { int bytes = Rarely ? 1 << 20 : _random.Next(40_000); Add("setattribute", Code(bytes < 1 << 20), 8, bytes); }
                break;
        }
    }

    private void Allocate(int place)
    {
        if (_memory[place] > 0) return;
        switch (_random.Next(10))
        {
            case 0: Add("alloc", InvalidValue, place, 0); return;
            case 1: Add("alloc", OutOfMemory, place, 1L << 46); return;
            case 2:
            {
                int element = Rarely ? _random.Next(4) : 4 << _random.Next(3), width = Rarely ? 0 : _random.Next(1, 3000), height = _random.Next(1, 30);
                bool right = element is 4 or 8 or 16 && width > 0;
                Add("pitch", Code(right), place, width, height, element);
                if (right) _memory[place] = (width + 511L) / 512 * 512 * height;
                break;
            }
            default:
                _memory[place] = _random.Next(4) == 0 ? _random.Next(1, 1 << 20) : _random.Next(1, 20_000);
                Add("alloc", Ok, place, _memory[place]);
                break;
        }
        if (_memory[place] > 0) Add("set8", Ok, place, 0, _memory[place], _random.Next(256), -1); // its contents are not promised
    }

    private void Free()
    {
        if (Rarely) { Add("free", Ok, -1, 0); return; }
        if (Live(_memory) is not { } place) return;
        if (Rarely && _memory[place] > 1) { Add("free", InvalidValue, place, _random.NextInt64(1, _memory[place])); return; }
        Add("free", Ok, place, 0);
        _memory[place] = 0;
    }

    private void Set(int place)
    {
        int bits = 8 << _random.Next(3), unit = bits / 8;
        (long start, long bytes, bool inside) = Range(place, unit);
        bool aligned = true;
        if (unit > 1 && Rarely && bytes > 0) (start, aligned) = (start + 1, false);
        (long s, bool exists) = Stream();
        bool right = bytes == 0 || inside && aligned;
        if (!exists && bytes == 0) return;
        Add($"set{bits}", exists ? Code(right) : right ? InvalidHandle : null, place, start, bytes / unit, _random.Next(1 << Math.Min(bits, 30)), s);
    }

    private void Launch()
    {
        if (Live(_memory) is not { } to || Live(_memory) is not { } from) return;
        long n = _random.NextInt64(Math.Min(_memory[to], _memory[from]) / 4 + 1);
        long grid = (n + 127) / 128 + (n == 0 ? 1 : 0), block = 128, shared = 0;
        (long s, bool exists) = Stream();
        int? expected = Code(exists, InvalidHandle);
        int kernel = 1;
        if (Rarely && exists)
        {
            (grid, block, shared, kernel, expected) = _random.Next(4) switch
            {
                0 => (0, block, shared, 1, InvalidValue), 1 => (grid, 1025, shared, 1, InvalidValue), 2 => (grid, block, 1 << 20, 1, InvalidValue), _ => (grid, block, shared, 0, (int?)InvalidHandle),
            };
        }
        Add("launch", expected, to, from, n, grid, block, shared, s, kernel);
        // Another thread of the grid may read what one has written; and streams run side by side.
        Add("synchronize", Ok);
    }

    private void Host(int place)
    {
        if (_host[place] == 0)
        {
            long bytes = Rarely ? 0 : _random.Next(1, 50_000);
            int flags = Rarely ? 8 : _random.Next(8);
            Add("hostalloc", Code(flags < 8), place, bytes, flags);
            if (flags < 8 && bytes > 0) _host[place] = bytes;
            return;
        }
        switch (_random.Next(4))
        {
            case 0: Add("hostfree", Ok, -1, 0); break;
            case 1: Add("hostfree", InvalidValue, place, 1); break;
            case 2: Add("hostflags", Ok, place); break;
            default: Add("hostfree", Ok, place, 0); _host[place] = 0; break;
        }
    }
}
