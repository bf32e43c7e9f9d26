// The kernels of device.cu in OpenCL, statement by statement.
__kernel void saxpy(int n, float a, __global const float *x, __global const float *y, __global float *z) {
    int i = get_global_id(0);
    if (i < n) z[i] = a * x[i] + y[i];
}

__kernel void stencil(int w, int h, __global const float *in, __global float *out) {
    int x = get_global_id(0), y = get_global_id(1);
    if (x <= 0 || y <= 0 || x >= w - 1 || y >= h - 1) return;
    int i = y * w + x;
    out[i] = 0.5f * in[i] + 0.125f * (in[i - 1] + in[i + 1] + in[i - w] + in[i + w]);
}

__kernel void reduce(int n, __global const int *in, __global int *out) {
    __local int s[256];
    int t = get_local_id(0), v = 0;
    for (int i = get_group_id(0) * 256 + t; i < n; i += get_num_groups(0) * 256) v += in[i];
    s[t] = v;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = 128; k > 0; k >>= 1) {
        if (t < k) s[t] += s[t + k];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (t == 0) out[get_group_id(0)] = s[0];
}

__kernel void matmul(int n, __global const float *a, __global const float *b, __global float *c) {
    __local float as[16][16], bs[16][16];
    int tx = get_local_id(0), ty = get_local_id(1), x = get_group_id(0) * 16 + tx, y = get_group_id(1) * 16 + ty;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        as[ty][tx] = a[y * n + k + tx];
        bs[ty][tx] = b[(k + ty) * n + x];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < 16; j++) sum += as[ty][j] * bs[j][tx];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[y * n + x] = sum;
}

__kernel void nbody(int n, __global const float4 *p, __global float4 *acc) {
    int i = get_global_id(0);
    if (i >= n) return;
    float4 me = p[i];
    float ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; j++) {
        float4 o = p[j];
        float dx = o.x - me.x, dy = o.y - me.y, dz = o.z - me.z, inv = rsqrt(dx * dx + dy * dy + dz * dz + 0.01f), s = o.w * inv * inv * inv;
        ax += dx * s;
        ay += dy * s;
        az += dz * s;
    }
    acc[i] = (float4)(ax, ay, az, 0);
}

__kernel void histogram(int n, __global const uint *in, __global uint *out) {
    __local uint bins[256];
    int t = get_local_id(0);
    bins[t] = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = get_global_id(0); i < n; i += get_global_size(0)) atomic_add(&bins[in[i] & 255], 1u);
    barrier(CLK_LOCAL_MEM_FENCE);
    atomic_add(&out[t], bins[t]);
}

static float cumulative(float d) {
    float a = d < 0 ? -d : d, k = 1.0f / (1.0f + 0.2316419f * a);
    float c = 0.39894228f * native_exp2(-0.72134752f * d * d) * (k * (0.31938153f + k * (-0.356563782f + k * (1.781477937f + k * (-1.821255978f + k * 1.330274429f)))));
    return d > 0 ? 1.0f - c : c;
}

__kernel void blackscholes(int n, __global const float *price, __global const float *strike, __global const float *years, __global float *call, __global float *put) {
    int i = get_global_id(0);
    if (i >= n) return;
    float s = price[i] * 25 + 5, x = strike[i] * 99 + 1, t = years[i] * 9.75f + 0.25f, r = 0.02f, v = 0.3f;
    float root = sqrt(t), d1 = (native_log2(s / x) * 0.69314718f + (r + 0.5f * v * v) * t) / (v * root), d2 = d1 - v * root;
    float c1 = cumulative(d1), c2 = cumulative(d2), e = native_exp2(-1.44269504f * r * t);
    call[i] = s * c1 - x * e * c2;
    put[i] = x * e * (1.0f - c2) - s * (1.0f - c1);
}

__kernel void mandelbrot(int w, int rounds, __global float *out) {
    int px = get_global_id(0), py = get_global_id(1), n = 0;
    if (px >= w || py >= w) return;
    float cx = (float)px * 3.0f / (float)w - 2.0f, cy = (float)py * 3.0f / (float)w - 1.5f, x = 0, y = 0;
    while (n < rounds && x * x + y * y < 4.0f) {
        float t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
        n++;
    }
    out[py * w + px] = (float)n;
}
