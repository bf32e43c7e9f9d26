using System.Globalization;
using System.Text;
using TreCr.SoftDevice.Engine;

namespace TreCr.SoftDevice.Emit;

/// <summary>Device-side printf: C format strings over an argument block with natural alignment (facts/cuda.md section 6.4).</summary>
unsafe readonly ref struct PrintfFormatter(BlockContext* context, int thread)
{
    readonly BlockContext* context = context;
    readonly int thread = thread;

    /// <summary>A NUL-terminated string of device memory, at most 64 KiB; faults the launch where it is not readable.</summary>
    public string String(ulong address)
    {
        if (address == 0) return "(null)";
        StringBuilder text = new();
        for (int n = 0; n < 65536; n++)
        {
            byte c = *(byte*)Checked(address + (ulong)n, 1);
            if (c == 0) break;
            text.Append((char)c);
        }
        return text.ToString();
    }

    void* Checked(ulong address, int bytes)
    {
        if (!PageTable.IsAccessible(address, (ulong)bytes)) KernelSupport.AccessFault(context, thread, address, bytes);
        return (void*)address;
    }

    long Argument(ref ulong at, int bytes)
    {
        at = at + (ulong)bytes - 1 & ~((ulong)bytes - 1);
        void* p = Checked(at, bytes);
        at += (ulong)bytes;
        return bytes == 4 ? *(int*)p : *(long*)p;
    }

    /// <returns>number of arguments; -1 for a NULL format, as in CUDA</returns>
    public int Format(ulong format, ulong arguments, DeviceOutput output)
    {
        if (format == 0) return -1;
        string f = String(format);
        StringBuilder text = new();
        int count = 0;
        for (int n = 0; n < f.Length; n++)
        {
            if (f[n] != '%') { text.Append(f[n]); continue; }
            int start = n++;
            bool left = false, plus = false, space = false, alternate = false, zero = false;
            for (; n < f.Length; n++)
            {
                if (f[n] == '-') left = true;
                else if (f[n] == '+') plus = true;
                else if (f[n] == ' ') space = true;
                else if (f[n] == '#') alternate = true;
                else if (f[n] == '0') zero = true;
                else break;
            }
            int width = Number(f, ref n, ref arguments, ref count), precision = -1;
            if (width < 0 && width != int.MinValue) { left = true; width = -width; }
            if (width == int.MinValue) width = 0;
            if (n < f.Length && f[n] == '.')
            {
                n++;
                precision = Number(f, ref n, ref arguments, ref count);
                if (precision == int.MinValue) precision = 0;
            }
            int bytes = 4;
            for (; n < f.Length && "hljztLq".Contains(f[n]); n++)
                if (f[n] is not 'h') bytes = 8;
            if (n >= f.Length) { text.Append(f, start, n - start); break; }
            char c = f[n];
            string body;
            string sign = "";
            switch (c)
            {
                case '%': text.Append('%'); continue;
                case 'd' or 'i':
                    long v = Argument(ref arguments, bytes);
                    count++;
                    sign = v < 0 ? "-" : plus ? "+" : space ? " " : "";
                    body = Digits(v < 0 ? (ulong)-v : (ulong)v, 10, false, precision);
                    if (precision >= 0) zero = false;
                    break;
                case 'u' or 'x' or 'X' or 'o':
                    ulong u = (ulong)Argument(ref arguments, bytes);
                    if (bytes == 4) u &= uint.MaxValue;
                    count++;
                    body = Digits(u, c == 'u' ? 10 : c == 'o' ? 8 : 16, c == 'X', precision);
                    if (alternate && u != 0) sign = c == 'o' ? "0" : c == 'u' ? "" : "0" + c;
                    if (precision >= 0) zero = false;
                    break;
                case 'c': body = ((char)(byte)Argument(ref arguments, 4)).ToString(); count++; zero = false; break;
                case 's':
                    body = String((ulong)Argument(ref arguments, 8));
                    count++;
                    if (precision >= 0 && body.Length > precision) body = body[..precision];
                    zero = false;
                    break;
                case 'p': body = "0x" + Argument(ref arguments, 8).ToString("x", CultureInfo.InvariantCulture); count++; zero = false; break;
                case 'f' or 'F' or 'e' or 'E' or 'g' or 'G':
                    double d = BitConverter.Int64BitsToDouble(Argument(ref arguments, 8));
                    count++;
                    sign = double.IsNegative(d) ? "-" : plus ? "+" : space ? " " : "";
                    body = Real(Math.Abs(d), c, precision < 0 ? 6 : precision, alternate);
                    if (!double.IsFinite(d)) zero = false;
                    break;
                default: text.Append(f, start, n - start + 1); continue;
            }
            int pad = width - sign.Length - body.Length;
            if (pad > 0 && !left && !zero) text.Append(' ', pad);
            text.Append(sign);
            if (pad > 0 && !left && zero) text.Append('0', pad);
            text.Append(body);
            if (pad > 0 && left) text.Append(' ', pad);
        }
        output.Write(text.ToString());
        return count;
    }

    /// <summary>A decimal number or *; int.MinValue where there is none.</summary>
    int Number(string f, ref int n, ref ulong arguments, ref int count)
    {
        if (n < f.Length && f[n] == '*')
        {
            n++;
            count++;
            return (int)Argument(ref arguments, 4);
        }
        if (n >= f.Length || !char.IsAsciiDigit(f[n])) return int.MinValue;
        int v = 0;
        for (; n < f.Length && char.IsAsciiDigit(f[n]) && v < 10000; n++) v = v * 10 + f[n] - '0';
        return v;
    }

    static string Digits(ulong v, int radix, bool upper, int precision)
    {
        string s = radix == 10 ? v.ToString(CultureInfo.InvariantCulture) : radix == 16 ? v.ToString(upper ? "X" : "x", CultureInfo.InvariantCulture) : Convert.ToString((long)v, 8);
        if (precision == 0 && v == 0) return "";
        return precision > s.Length ? new string('0', precision - s.Length) + s : s;
    }

    static string Real(double v, char c, int precision, bool alternate)
    {
        bool upper = char.IsAsciiLetterUpper(c);
        if (double.IsNaN(v)) return upper ? "NAN" : "nan";
        if (double.IsInfinity(v)) return upper ? "INF" : "inf";
        switch (char.ToLowerInvariant(c))
        {
            case 'f': return v.ToString("F" + precision, CultureInfo.InvariantCulture);
            case 'e': return Exponent(v, precision, upper);
            default:
                if (precision == 0) precision = 1;
                if (v == 0) return alternate ? "0." + new string('0', precision - 1) : "0";
                string e = Exponent(v, precision - 1, upper);
                int x = int.Parse(e.AsSpan(e.IndexOf(upper ? 'E' : 'e') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                if (x >= -4 && x < precision)
                {
                    string s = v.ToString("F" + (precision - 1 - x), CultureInfo.InvariantCulture);
                    return alternate || !s.Contains('.') ? s : s.TrimEnd('0').TrimEnd('.');
                }
                if (alternate) return e;
                int at = e.IndexOf(upper ? 'E' : 'e');
                string m = e[..at];
                return (m.Contains('.') ? m.TrimEnd('0').TrimEnd('.') : m) + e[at..];
        }
    }

    static string Exponent(double v, int precision, bool upper)
    {
        string s = v.ToString((upper ? "E" : "e") + precision, CultureInfo.InvariantCulture);
        // .NET writes three digits of exponent, C at least two.
        int at = s.IndexOf(upper ? 'E' : 'e') + 2;
        string digits = s[at..].TrimStart('0');
        return s[..at] + digits.PadLeft(2, '0');
    }
}
