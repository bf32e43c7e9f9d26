using System.Runtime.InteropServices;
using System.Text;
using NUnit.Framework;
using TreCr.Calls.Cuda;

namespace TreCr.SoftDevice.Tests;

/// <summary>
/// Random programs, compiled by clang for NVPTX and for this machine; every result must be the same bit for bit (NaNs count as equal). TRECR_SEED picks another
/// set, TRECR_FUZZ_FUNCTIONS another number.
/// </summary>
[CancelAfter(300_000)]
public sealed unsafe class FuzzTests
{
    const int PerModule = 60, Inputs = 96;

    static readonly string[] Types = ["uint", "int", "u64", "s64", "float", "double", "unsigned short", "signed char"];

    sealed class Generator(Random random)
    {
        int depth, names;
        readonly List<(string Name, string Type)> variables = [];

        string Type() => Types[random.Next(Types.Length)];

        public string Function(string name)
        {
            names = 0;
            variables.Clear();
            variables.AddRange([("a", "uint"), ("b", "int"), ("c", "u64"), ("d", "s64"), ("x", "float"), ("y", "double")]);
            StringBuilder s = new($"F u64 {name}(uint a, int b, u64 c, s64 d, float x, double y) {{\n");
            for (int n = random.Next(3, 8); n > 0; n--) Statement(s, 1);
            s.Append("  u64 r = 0;\n");
            foreach ((string v, string t) in variables) s.Append($"  r = r * 31 + bits(({t}){v});\n");
            return s.Append("  return r;\n}\n").ToString();
        }

        void Statement(StringBuilder s, int level)
        {
            string pad = new(' ', level * 2);
            int scope = variables.Count;
            switch (level > 2 ? 0 : random.Next(8))
            {
                case 0 or 1 or 2:
                    string t = Type(), v = "v" + names++;
                    string e = Expression(t);
                    if (level == 1) { s.Append($"{pad}{t} {v} = {e};\n"); variables.Add((v, t)); }
                    else Assign(s, pad);
                    break;
                case 3 or 4:
                    Assign(s, pad);
                    break;
                case 5:
                    s.Append($"{pad}if ({Condition()}) {{\n");
                    Statement(s, level + 1);
                    s.Append($"{pad}}} else {{\n");
                    Statement(s, level + 1);
                    s.Append($"{pad}}}\n");
                    break;
                case 6:
                    string i = "i" + names++;
                    s.Append($"{pad}for (int {i} = 0; {i} < (int)(a & 7) + {random.Next(1, 4)}; {i}++) {{\n");
                    variables.Add((i, "const int"));
                    Statement(s, level + 1);
                    Statement(s, level + 1);
                    variables.RemoveRange(scope, variables.Count - scope);
                    s.Append($"{pad}}}\n");
                    break;
                default:
                    s.Append($"{pad}switch ({Expression("uint")} % 5) {{\n");
                    for (int k = 0; k < 4; k++)
                    {
                        s.Append($"{pad}case {k}:\n");
                        Statement(s, level + 1);
                        s.Append($"{pad}  break;\n");
                    }
                    s.Append($"{pad}default: ;\n{pad}}}\n");
                    break;
            }
            if (level > 1) variables.RemoveRange(scope, variables.Count - scope);
        }

        void Assign(StringBuilder s, string pad)
        {
            (string v, string t) = variables[random.Next(variables.Count)];
            if (t.StartsWith("const", StringComparison.Ordinal)) return;
            s.Append($"{pad}{v} = {Expression(t)};\n");
        }

        string Condition() => random.Next(4) switch
        {
            0 => $"({Expression("float")}) {Compare()} ({Expression("float")})", 1 => $"({Expression("double")}) {Compare()} ({Expression("double")})",
            2 => $"({Expression("s64")}) {Compare()} ({Expression("s64")})", _ => $"({Expression("uint")}) {Compare()} ({Expression("uint")})",
        };

        string Compare() => new[] { "<", "<=", ">", ">=", "==", "!=" }[random.Next(6)];

        string Expression(string type)
        {
            if (depth > 3 || random.Next(5) == 0) return Leaf(type);
            depth++;
            string e = type switch
            {
                "float" or "double" => Real(type),
                _ => Whole(type),
            };
            depth--;
            return $"({type})({e})";
        }

        string Leaf(string type)
        {
            if (random.Next(3) == 0) return type is "float" or "double" ? $"({type}){random.NextDouble() * 200 - 100:F3}" : $"({type})0x{random.NextInt64():x}ull";
            (string v, string t) = variables[random.Next(variables.Count)];
            bool real = t is "float" or "double";
            // Out-of-range conversions are undefined in C++: bring the value into range first.
            return real && type is not ("float" or "double") ? $"({type})(int)clampd({v})" : $"({type}){v}";
        }

        string Real(string type)
        {
            string a = Expression(type), s = type == "float" ? "f" : "";
            return random.Next(12) switch
            {
                0 or 1 => $"{a} + {Expression(type)}", 2 => $"{a} - {Expression(type)}", 3 or 4 => $"{a} * {Expression(type)}", 5 => $"{a} / {Expression(type)}",
                6 => $"fma{s}_({a}, {Expression(type)}, {Expression(type)})", 7 => $"sqrt{s}_({a})", 8 => $"-{a}", 9 => $"({Condition()}) ? {a} : {Expression(type)}",
                10 => $"({type})({Expression(new[] { "int", "uint", "s64", "u64" }[random.Next(4)])})", _ => type == "float" ? $"(float)({Expression("double")})" : $"(double)({Expression("float")})",
            };
        }

        string Whole(string type)
        {
            string a = Expression(type);
            string wide = type is "unsigned short" or "signed char" ? "int" : type;
            int bits = wide is "u64" or "s64" ? 64 : 32;
            string u = bits == 64 ? "u64" : "uint";
            return random.Next(20) switch
            {
                0 or 1 => $"{a} + {Expression(type)}", 2 => $"{a} - {Expression(type)}", 3 or 4 => $"{a} * {Expression(type)}",
                5 => $"({wide}){a} / ({wide})(({Expression(type)} & 0xfff) | 1)", 6 => $"({wide}){a} % ({wide})(({Expression(type)} & 0xfff) | 3)",
                7 => $"{a} & {Expression(type)}", 8 => $"{a} | {Expression(type)}", 9 => $"{a} ^ {Expression(type)}", 10 => $"~{a}",
                11 => $"({u}){a} << ({Expression("uint")} & {bits - 1})", 12 => $"({wide}){a} >> ({Expression("uint")} & {bits - 1})",
                13 => $"({Condition()}) ? {a} : {Expression(type)}",
                14 => $"__builtin_popcount{(bits == 64 ? "ll" : "")}(({u}){a})", 15 => $"__builtin_clz{(bits == 64 ? "ll" : "")}(({u}){a} | 1)",
                16 => bits == 64 ? $"__builtin_bitreverse64(({u}){a})" : $"__builtin_bitreverse32(({u}){a})",
                17 => bits == 64 ? $"(u64)(((unsigned __int128)(u64){a} * (u64){Expression(type)}) >> 64)" : $"(uint)(((s64)(int){a} * (int){Expression(type)}) >> 32)",
                18 => $"rot{bits}(({u}){a}, {Expression("uint")})",
                _ => $"(int)clampd({Expression(random.Next(2) == 0 ? "float" : "double")})",
            };
        }
    }

    const string Common = """
        F double clampd(double v) { return v > 2e9 ? 2e9 : v < -2e9 ? -2e9 : v == v ? v : 0; }
        F uint rot32(uint a, uint n) { n &= 31; return n ? a << n | a >> (32 - n) : a; }
        F u64 rot64(u64 a, uint n) { n &= 63; return n ? a << n | a >> (64 - n) : a; }
        F float fmaf_(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
        F double fma_(double a, double b, double c) { return __builtin_fma(a, b, c); }
        F u64 bits(u64 v) { return v; } F u64 bits(s64 v) { return v; } F u64 bits(uint v) { return v; } F u64 bits(int v) { return v; }
        F u64 bits(unsigned short v) { return v; } F u64 bits(signed char v) { return v; }
        F u64 bits(float v) { if (v != v) return 99; union { float f; uint u; } x; x.f = v; return x.u; }
        F u64 bits(double v) { if (v != v) return 98; union { double f; u64 u; } x; x.f = v; return x.u; }
        struct In { u64 c; s64 d; double y; uint a; int b; float x; uint pad; };

        """;

    [Test]
    public void RandomProgramsGiveTheHostsResults()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("TRECR_SEED"), out int s) ? s : 20260811;
        int functions = int.TryParse(Environment.GetEnvironmentVariable("TRECR_FUZZ_FUNCTIONS"), out int f) ? f : 120;
        TestContext.Out.WriteLine($"seed {seed}");
        Random random = new(seed);
        for (int done = 0; done < functions; done += PerModule) Module(random, done, Math.Min(PerModule, functions - done));
    }

    static void Module(Random random, int first, int count)
    {
        Generator generator = new(random);
        StringBuilder body = new(Common), kernels = new(), host = new("extern \"C\" void run(int n, const In* in, u64* out) {\n  for (int i = 0; i < n; i++) {\n");
        for (int k = 0; k < count; k++)
        {
            body.Append(generator.Function("f" + k));
            kernels.Append($"extern \"C\" __global__ void k{k}(int n, const In* in, u64* out) {{ int i = BX*NX+TX; if (i < n) out[i] = f{k}(in[i].a, in[i].b, in[i].c, in[i].d, in[i].x, in[i].y); }}\n");
            host.Append($"    out[{k} * n + i] = f{k}(in[i].a, in[i].b, in[i].c, in[i].d, in[i].x, in[i].y);\n");
        }
        host.Append("  }\n}\n");
        const string deviceHead = "#define F static __device__ inline\nF float sqrtf_(float v) { return __nvvm_sqrt_rn_f(v); } F double sqrt_(double v) { return __nvvm_sqrt_rn_d(v); }\n";
        const string hostHead = "typedef unsigned uint; typedef unsigned long long u64; typedef long long s64;\n#define F static inline\nF float sqrtf_(float v) { return __builtin_sqrtf(v); } F double sqrt_(double v) { return __builtin_sqrt(v); }\n";
        string ptx = Clang.Ptx(deviceHead + body + kernels, "-ffp-contract=off -fwrapv");
        string dir = Directory.CreateTempSubdirectory("trecr-fuzz").FullName;
        nint library = NativeLibrary.Load(Clang.HostLibrary(hostHead + body + host, dir));
        byte[] inputs = Values(random);
        ulong[] expected = new ulong[count * Inputs];
        fixed (byte* i = inputs) fixed (ulong* o = expected)
            ((delegate* unmanaged<int, byte*, ulong*, void>)NativeLibrary.GetExport(library, "run"))(Inputs, i, o);
        using Machine m = new(8 << 20);
        CUmodule module = m.Load(ptx);
        ulong din = m.Array<byte>(inputs), dout = m.Zeroed<ulong>(Inputs);
        for (int k = 0; k < count; k++)
        {
            m.Run(m.Function(module, "k" + k), 3, Inputs / 3, Inputs, din, dout);
            Span<ulong> got = Machine.Span<ulong>(dout, Inputs);
            for (int n = 0; n < Inputs; n++)
                if (got[n] != expected[k * Inputs + n])
                {
                    string keep = Path.Combine(Path.GetTempPath(), $"trecr-fuzz-{first + k}.txt");
                    File.WriteAllText(keep, body.ToString() + "\n" + ptx);
                    Assert.Fail($"function {first + k} (f{k}), input {n}: device {got[n]:x}, host {expected[k * Inputs + n]:x}; sources in {keep}");
                }
        }
        NativeLibrary.Free(library);
        Directory.Delete(dir, true);
    }

    static byte[] Values(Random random)
    {
        byte[] bytes = new byte[Inputs * 40];
        random.NextBytes(bytes);
        ulong[] edges = [0, 1, ulong.MaxValue, 1UL << 63, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 2, 31, 32, 33, 63, 64];
        double[] reals = [0, -0.0, 1, -1, 0.5, 1e30, -1e-30, 1e-40, 3.5e38, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 1e300, 2147483648.0, 16777217, 4.9e-324];
        fixed (byte* p = bytes)
            for (int n = 0; n < Inputs; n++)
            {
                byte* e = p + n * 40;
                if (random.Next(2) == 0) *(ulong*)e = edges[random.Next(edges.Length)];
                if (random.Next(2) == 0) *(ulong*)(e + 8) = edges[random.Next(edges.Length)];
                *(double*)(e + 16) = random.Next(2) == 0 ? reals[random.Next(reals.Length)] : random.NextDouble() * 2000 - 1000;
                if (random.Next(2) == 0) *(uint*)(e + 24) = (uint)edges[random.Next(edges.Length)];
                if (random.Next(2) == 0) *(uint*)(e + 28) = (uint)edges[random.Next(edges.Length)];
                *(float*)(e + 32) = random.Next(2) == 0 ? (float)reals[random.Next(reals.Length)] : (float)(random.NextDouble() * 2000 - 1000);
            }
        return bytes;
    }
}
