// The eight kernels of `bench device` in CUDA. device.cu DIRECTORY: prints each kernel's median time in ns, keeps its results in the directory.
#include "../../../samples/include/sample.h"
#include "device.h"

#ifdef __clang__
#define EXP2(x) __nvvm_ex2_approx_ftz_f(x)
#define LOG2(x) __nvvm_lg2_approx_ftz_f(x)
#define RSQRT(x) __nvvm_rsqrt_approx_f(x)
#define SQRT(x) __nvvm_sqrt_rn_f(x)
#else
#define EXP2(x) exp2f(x)
#define LOG2(x) __log2f(x)
#define RSQRT(x) rsqrtf(x)
#define SQRT(x) sqrtf(x)
#endif

__global__ void saxpy(int n, float a, const float *x, const float *y, float *z) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) z[i] = a * x[i] + y[i];
}

__global__ void stencil(int w, int h, const float *in, float *out) {
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    if (x <= 0 || y <= 0 || x >= w - 1 || y >= h - 1) return;
    int i = y * w + x;
    out[i] = 0.5f * in[i] + 0.125f * (in[i - 1] + in[i + 1] + in[i - w] + in[i + w]);
}

__global__ void reduce(int n, const int *in, int *out) {
    __shared__ int s[256];
    int t = (int)threadIdx.x, v = 0;
    for (int i = (int)blockIdx.x * 256 + t; i < n; i += (int)gridDim.x * 256) v += in[i];
    s[t] = v;
    __syncthreads();
    for (int k = 128; k > 0; k >>= 1) {
        if (t < k) s[t] += s[t + k];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = s[0];
}

__global__ void matmul(int n, const float *a, const float *b, float *c) {
    __shared__ float as[16][16], bs[16][16];
    int tx = (int)threadIdx.x, ty = (int)threadIdx.y, x = (int)blockIdx.x * 16 + tx, y = (int)blockIdx.y * 16 + ty;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        as[ty][tx] = a[y * n + k + tx];
        bs[ty][tx] = b[(k + ty) * n + x];
        __syncthreads();
        for (int j = 0; j < 16; j++) sum += as[ty][j] * bs[j][tx];
        __syncthreads();
    }
    c[y * n + x] = sum;
}

__global__ void nbody(int n, const float4 *p, float4 *acc) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    float4 me = p[i];
    float ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; j++) {
        float4 o = p[j];
        float dx = o.x - me.x, dy = o.y - me.y, dz = o.z - me.z, inv = RSQRT(dx * dx + dy * dy + dz * dz + 0.01f), s = o.w * inv * inv * inv;
        ax += dx * s;
        ay += dy * s;
        az += dz * s;
    }
    float4 r = { ax, ay, az, 0 };
    acc[i] = r;
}

__global__ void histogram(int n, const unsigned *in, unsigned *out) {
    __shared__ unsigned bins[BINS];
    int t = (int)threadIdx.x;
    bins[t] = 0;
    __syncthreads();
    for (int i = (int)(blockIdx.x * blockDim.x) + t; i < n; i += (int)(gridDim.x * blockDim.x)) atomicAdd(&bins[in[i] & 255], 1u);
    __syncthreads();
    atomicAdd(&out[t], bins[t]);
}

__device__ static float cumulative(float d) {
    float a = d < 0 ? -d : d, k = 1.0f / (1.0f + 0.2316419f * a);
    float c = 0.39894228f * EXP2(-0.72134752f * d * d) * (k * (0.31938153f + k * (-0.356563782f + k * (1.781477937f + k * (-1.821255978f + k * 1.330274429f)))));
    return d > 0 ? 1.0f - c : c;
}

__global__ void blackscholes(int n, const float *price, const float *strike, const float *years, float *call, float *put) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    float s = price[i] * 25 + 5, x = strike[i] * 99 + 1, t = years[i] * 9.75f + 0.25f, r = 0.02f, v = 0.3f;
    float root = SQRT(t), d1 = (LOG2(s / x) * 0.69314718f + (r + 0.5f * v * v) * t) / (v * root), d2 = d1 - v * root;
    float c1 = cumulative(d1), c2 = cumulative(d2), e = EXP2(-1.44269504f * r * t);
    call[i] = s * c1 - x * e * c2;
    put[i] = x * e * (1.0f - c2) - s * (1.0f - c1);
}

__global__ void mandelbrot(int w, int rounds, float *out) {
    int px = (int)(blockIdx.x * blockDim.x + threadIdx.x), py = (int)(blockIdx.y * blockDim.y + threadIdx.y), n = 0;
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

static float *device[8];
static const size_t result_bytes[KERNELS] = { N * 4, WIDTH *HEIGHT * 4, 1024 * 4, MATRIX *MATRIX * 4, BODIES * 16, BINS * 4, OPTIONS * 4, PIXELS *PIXELS * 4 };

static void launch(int k) {
    switch (k) {
    case 0: saxpy<<<N / 256, 256>>>(N, 1.5f, device[0], device[1], device[3]); break;
    case 1: stencil<<<dim3(WIDTH / 32, HEIGHT / 8), dim3(32, 8)>>>(WIDTH, HEIGHT, device[0], device[3]); break;
    case 2: reduce<<<1024, 256>>>(N, (const int *)device[2], (int *)device[3]); break;
    case 3: matmul<<<dim3(MATRIX / 16, MATRIX / 16), dim3(16, 16)>>>(MATRIX, device[0], device[1], device[3]); break;
    case 4: nbody<<<BODIES / 128, 128>>>(BODIES, (const float4 *)device[0], (float4 *)device[3]); break;
    case 5:
        CUDA_OK(cudaMemset(device[3], 0, BINS * 4));
        histogram<<<64, 256>>>(N, (const unsigned *)device[2], (unsigned *)device[3]);
        break;
    case 6: blackscholes<<<OPTIONS / 256, 256>>>(OPTIONS, device[0], device[1], device[0] + N / 2, device[3], device[4]); break;
    default: mandelbrot<<<dim3(PIXELS / 16, PIXELS / 16), dim3(16, 16)>>>(PIXELS, ROUNDS, device[3]);
    }
    CUDA_OK(cudaDeviceSynchronize());
}

int main(int argc, char **argv) {
    float *host = (float *)malloc(N * 4);
    for (int i = 0; i < 5; i++) CUDA_OK(cudaMalloc((void **)&device[i], N * 4));
    CUDA_OK(cudaMemcpy(device[0], floats(N, 1), N * 4, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(device[1], floats(N, 2), N * 4, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(device[2], numbers(N, 3), N * 4, cudaMemcpyHostToDevice));
    for (int k = 0; k < KERNELS; k++) {
        CUDA_OK(cudaMemset(device[3], 0, N * 4));
        measure(NAMES[k], launch, k);
        CUDA_OK(cudaMemcpy(host, device[3], result_bytes[k], cudaMemcpyDeviceToHost));
        keep(argv[argc - 1], NAMES[k], host, result_bytes[k]);
    }
    return 0;
}
