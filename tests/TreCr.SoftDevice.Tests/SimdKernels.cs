using System.Text;

namespace TreCr.SoftDevice.Tests;

/// <summary>Random kernels with what groups of threads must get right: uniform, affine and varying values, divergent branches and loops, barriers, shuffles, votes, shared memory, atomics.</summary>
static class SimdKernels
{
    public static readonly (uint X, uint Y, uint Z)[] Blocks = [(64, 1, 1), (256, 1, 1), (32, 2, 1), (16, 8, 1), (8, 8, 2), (5, 7, 3), (33, 1, 1), (40, 1, 1), (128, 1, 1), (24, 2, 2), (1, 1, 1), (17, 3, 1)];

    public const string Common = """
        struct V4 { uint x, y, z, w; };
        __device__ static inline float num(float v) { return v == v ? (v > 1e9f ? 1e9f : v < -1e9f ? -1e9f : v) : 0; }
        __device__ static inline uint bitsOf(float v) { union { float f; uint u; } x; x.f = v; return v == v ? x.u : 7u; }

        """;

    public static string Next(Random r, string name)
    {
        StringBuilder s = new();
        s.Append($"extern \"C\" __global__ void {name}(uint* in, uint* out, int n) {{\n  __shared__ uint s[1024]; int t = (TZ*NY+TY)*NX+TX, threads = NX*NY*__nvvm_read_ptx_sreg_ntid_z(), g = BX*threads+t;\n");
        s.Append("  uint u = in[g], v = in[(g * 7) & 4095]; int i = (int)u % 1000, j = TX; float x = (float)(int)(u & 0xffff) * 0.25f, y = (float)t; double d = x; s64 w = (s64)i * t; s[t] = u; __syncthreads();\n");
        bool mayReturn = true;
        for (int k = r.Next(5, 11); k > 0; k--) Statement(r, s, 1, ref mayReturn);
        return s.Append("  out[g] = u ^ v * 31 ^ bitsOf(x) ^ bitsOf(y) * 17 ^ (uint)i * 5 ^ (uint)j ^ (uint)(w >> 7) ^ bitsOf((float)d);\n}\n").ToString();
    }

    static void Statement(Random r, StringBuilder s, int level, ref bool mayReturn)
    {
        string pad = new(' ', 2 * level);
        switch (level > 2 ? r.Next(8) : r.Next(18))
        {
            case 0: s.Append($"{pad}u = {Int(r)};\n"); break;
            case 1: s.Append($"{pad}v = {Int(r)};\n"); break;
            case 2: s.Append($"{pad}i = (int)({Int(r)}) >> {r.Next(8)};\n"); break;
            case 3: s.Append($"{pad}x = num({Real(r)});\n"); break;
            case 4: s.Append($"{pad}y = num({Real(r)});\n"); break;
            case 5: s.Append($"{pad}w = w * {r.Next(1, 9)} + (s64)(int)({Int(r)});\n"); break;
            case 6: s.Append($"{pad}d = d * 0.5 + (double)({Real(r)}); if (!(d < 1e30 && d > -1e30)) d = 1;\n"); break;
            case 7: s.Append($"{pad}j += n;\n"); break;
            case 8 or 9:
                s.Append($"{pad}if ({Condition(r)}) {{\n");
                bool inner = false;
                Statement(r, s, level + 1, ref inner);
                if (r.Next(3) == 0) s.Append($"{pad}}} else {{\n");
                Statement(r, s, level + 1, ref inner);
                s.Append($"{pad}}}\n");
                break;
            case 10:
                bool body = false;
                s.Append($"{pad}for (int k = 0; k < {(r.Next(2) == 0 ? "n" : "(int)(u & 7)")}; k++) {{\n{pad}  u += k * {r.Next(100)};\n");
                Statement(r, s, level + 1, ref body);
                if (r.Next(3) == 0) s.Append($"{pad}  if ({Condition(r)}) break;\n");
                if (r.Next(4) == 0) s.Append($"{pad}  if ({Condition(r)}) continue;\n");
                Statement(r, s, level + 1, ref body);
                s.Append($"{pad}}}\n");
                break;
            case 11 when level == 1 && !mayReturn || level > 1: goto case 0;
            // Whoever leaves is not waited for at barriers.
            case 11 when level == 1 && r.Next(3) == 0:
                s.Append($"{pad}if ({Condition(r)}) {{ out[g] = v; return; }}\n");
                break;
            case 12 when level == 1:
                s.Append($"{pad}__syncthreads(); s[t] = u + i; __syncthreads(); v ^= s[(t * {r.Next(1, 9)} + n) % threads]; __syncthreads();\n");
                break;
            case 13 when level == 1: s.Append($"{pad}__syncthreads(); __nvvm_atom_add_gen_i((int*)&s[t % {r.Next(1, 40)}], i); __syncthreads(); u += s[t]; __syncthreads();\n"); break;
            case 14: s.Append($"{pad}v += in[({Int(r)}) & 4095];\n"); break;
            case 15: s.Append($"{pad}{{ V4 q = *(const V4*)(in + 4 * (t & 255)); u += q.x ^ q.z; x += (float)(q.w & 255); }}\n"); break;
            case 16: s.Append($"{pad}u += ((unsigned char*)in)[g] + ((unsigned short*)in)[t * 3];\n"); break;
            default: s.Append($"{pad}i = i * n + TX * {r.Next(5)} - TY;\n"); break;
        }
    }

    static string Int(Random r) => r.Next(14) switch
    {
        0 => "u + v", 1 => "u * 2654435761u", 2 => $"v >> (u & {r.Next(64)})", 3 => "(uint)i - v", 4 => $"u << {r.Next(32)}", 5 => "u / (v | 1)", 6 => "(uint)w", 7 => "(uint)(int)x", 8 => $"(uint)(t * {r.Next(1, 50)} + n)",
        9 => "u > v ? u - v : v - u", 10 => "(uint)((int)u < i ? i : (int)u)", 11 => "(uint)(((u64)u * v) >> 32)", 12 => "~u & v | (uint)j", _ => "__builtin_popcount(u) + (uint)TX",
    };

    static string Real(Random r) => r.Next(11) switch
    {
        0 => "x + y", 1 => "x * 0.37f - y", 2 => "__builtin_fmaf(x, y, 1.5f)", 3 => "x / (y * y + 1)", 4 => "(float)i", 5 => "(float)u", 6 => "x < y ? x : y", 7 => "__nvvm_sqrt_rn_f(x * x)", 8 => "__nvvm_ex2_approx_f(y * 0.001f)",
        9 => "__nvvm_lg2_approx_f(x * x + 1)", _ => "(float)d - x",
    };

    static string Condition(Random r) => r.Next(10) switch
    {
        0 => $"t % {r.Next(2, 20)} == 0", 1 => "u < v", 2 => "x > y", 3 => $"n > {r.Next(8)}", 4 => "i > 0", 5 => $"t < {r.Next(300)}", 6 => "(u & 1) != 0 && x < 100", 7 => "d < y", 8 => $"TY > {r.Next(4)}", _ => "w > 0",
    };
}
