// `bench device` without TreCr: device c DIRECTORY, plain loops with OpenMP; device opencl DIRECTORY SOURCE, the same kernels by the first OpenCL device (pocl).
// Prints each kernel's median time in ns, keeps its results in the directory. The OpenCL library is opened at run time, so that no headers are needed.
#include "device.h"
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>

static float *a, *b, *result, *second;
static unsigned *in;

static float cumulative(float d) {
    float m = d < 0 ? -d : d, k = 1.0f / (1.0f + 0.2316419f * m);
    float c = 0.39894228f * exp2f(-0.72134752f * d * d) * (k * (0.31938153f + k * (-0.356563782f + k * (1.781477937f + k * (-1.821255978f + k * 1.330274429f)))));
    return d > 0 ? 1.0f - c : c;
}

static void loops(int kernel) {
    switch (kernel) {
    case 0:
#pragma omp parallel for
        for (int i = 0; i < N; i++) result[i] = 1.5f * a[i] + b[i];
        break;
    case 1:
#pragma omp parallel for
        for (int y = 1; y < HEIGHT - 1; y++)
            for (int x = 1; x < WIDTH - 1; x++) {
                int i = y * WIDTH + x;
                result[i] = 0.5f * a[i] + 0.125f * (a[i - 1] + a[i + 1] + a[i - WIDTH] + a[i + WIDTH]);
            }
        break;
    case 2:
#pragma omp parallel for
        for (int g = 0; g < 1024; g++) {
            unsigned v = 0;
            for (int i = g * 256; i < N; i += 1024 * 256)
                for (int t = 0; t < 256; t++) v += in[i + t];
            ((unsigned *)result)[g] = v;
        }
        break;
    case 3:
#pragma omp parallel for
        for (int y = 0; y < MATRIX; y++) {
            float *row = result + y * MATRIX;
            memset(row, 0, MATRIX * 4);
            for (int k = 0; k < MATRIX; k++)
                for (int x = 0; x < MATRIX; x++) row[x] += a[y * MATRIX + k] * b[k * MATRIX + x];
        }
        break;
    case 4:
#pragma omp parallel for
        for (int i = 0; i < BODIES; i++) {
            float ax = 0, ay = 0, az = 0;
            for (int j = 0; j < BODIES; j++) {
                float dx = a[4 * j] - a[4 * i], dy = a[4 * j + 1] - a[4 * i + 1], dz = a[4 * j + 2] - a[4 * i + 2];
                float inv = 1 / sqrtf(dx * dx + dy * dy + dz * dz + 0.01f), s = a[4 * j + 3] * inv * inv * inv;
                ax += dx * s;
                ay += dy * s;
                az += dz * s;
            }
            float *r = result + 4 * i;
            r[0] = ax, r[1] = ay, r[2] = az, r[3] = 0;
        }
        break;
    case 5:
        memset(result, 0, BINS * 4);
#pragma omp parallel
        {
            unsigned bins[BINS] = { 0 };
#pragma omp for
            for (int i = 0; i < N; i++) bins[in[i] & 255]++;
            for (int i = 0; i < BINS; i++)
#pragma omp atomic
                ((unsigned *)result)[i] += bins[i];
        }
        break;
    case 6:
#pragma omp parallel for
        for (int i = 0; i < OPTIONS; i++) {
            float s = a[i] * 25 + 5, x = b[i] * 99 + 1, t = a[N / 2 + i] * 9.75f + 0.25f, r = 0.02f, v = 0.3f;
            float root = sqrtf(t), d1 = (log2f(s / x) * 0.69314718f + (r + 0.5f * v * v) * t) / (v * root), d2 = d1 - v * root;
            float c1 = cumulative(d1), c2 = cumulative(d2), e = exp2f(-1.44269504f * r * t);
            result[i] = s * c1 - x * e * c2;
            second[i] = x * e * (1.0f - c2) - s * (1.0f - c1);
        }
        break;
    default:
#pragma omp parallel for schedule(dynamic, 4)
        for (int py = 0; py < PIXELS; py++)
            for (int px = 0; px < PIXELS; px++) {
                float cx = (float)px * 3.0f / (float)PIXELS - 2.0f, cy = (float)py * 3.0f / (float)PIXELS - 1.5f, x = 0, y = 0;
                int n = 0;
                while (n < ROUNDS && x * x + y * y < 4.0f) {
                    float t = x * x - y * y + cx;
                    y = 2 * x * y + cy;
                    x = t;
                    n++;
                }
                result[py * PIXELS + px] = (float)n;
            }
    }
}

static const size_t result_bytes[KERNELS] = { N * 4, WIDTH * HEIGHT * 4, 1024 * 4, MATRIX * MATRIX * 4, BODIES * 16, BINS * 4, OPTIONS * 4, PIXELS * PIXELS * 4 };

// ---- OpenCL 1.2, as far as it is needed ----
static void *library;
static void *queue, *kernels[KERNELS], *mem[6];
#define CL(result, name, ...) ((result(*)(__VA_ARGS__))dlsym(library, name))
#define OK(call) do { int e = (call); if (e) { fprintf(stderr, "%s: %d\n", #call, e); exit(1); } } while (0)

static void argument(int k, unsigned at, size_t bytes, const void *value) { OK(CL(int, "clSetKernelArg", void *, unsigned, size_t, const void *)(kernels[k], at, bytes, value)); }
static void buffer(int k, unsigned at, int which) { argument(k, at, sizeof(void *), &mem[which]); }

static void enqueue(int k) {
    static const size_t global[KERNELS][2] = { { N, 1 }, { WIDTH, HEIGHT }, { 1024 * 256, 1 }, { MATRIX, MATRIX }, { BODIES, 1 }, { 64 * 256, 1 }, { OPTIONS, 1 }, { PIXELS, PIXELS } };
    static const size_t local[KERNELS][2] = { { 256, 1 }, { 32, 8 }, { 256, 1 }, { 16, 16 }, { 128, 1 }, { 256, 1 }, { 256, 1 }, { 16, 16 } };
    if (k == 5) {
        unsigned zero = 0;
        OK(CL(int, "clEnqueueFillBuffer", void *, void *, const void *, size_t, size_t, size_t, unsigned, void *, void *)(queue, mem[3], &zero, 4, 0, BINS * 4, 0, 0, 0));
    }
    OK(CL(int, "clEnqueueNDRangeKernel", void *, void *, unsigned, const size_t *, const size_t *, const size_t *, unsigned, void *, void *)(queue, kernels[k], 2, 0, global[k], local[k], 0, 0, 0));
    OK(CL(int, "clFinish", void *)(queue));
}

static void open_device(const char *source) {
    library = dlopen("libOpenCL.so.1", RTLD_NOW);
    if (!library) { fprintf(stderr, "%s\n", dlerror()); exit(3); }
    void *platform = 0, *device = 0, *context, *program;
    int e = 0, n = N, w = WIDTH, h = HEIGHT, m = MATRIX, bodies = BODIES, options = OPTIONS, pixels = PIXELS, rounds = ROUNDS;
    float factor = 1.5f;
    if (CL(int, "clGetPlatformIDs", unsigned, void **, unsigned *)(1, &platform, 0) || CL(int, "clGetDeviceIDs", void *, uint64_t, unsigned, void **, unsigned *)(platform, 2 /* CPU */, 1, &device, 0)) {
        fprintf(stderr, "no OpenCL device for the CPU\n");
        exit(3);
    }
    context = CL(void *, "clCreateContext", void *, unsigned, void **, void *, void *, int *)(0, 1, &device, 0, 0, &e);
    OK(e);
    queue = CL(void *, "clCreateCommandQueue", void *, void *, uint64_t, int *)(context, device, 0, &e);
    OK(e);
    FILE *f = fopen(source, "rb");
    static char text[1 << 16];
    if (!f || !fread(text, 1, sizeof text - 1, f)) { perror(source); exit(1); }
    fclose(f);
    const char *lines = text;
    program = CL(void *, "clCreateProgramWithSource", void *, unsigned, const char **, const size_t *, int *)(context, 1, &lines, 0, &e);
    OK(e);
    OK(CL(int, "clBuildProgram", void *, unsigned, void *, const char *, void *, void *)(program, 0, 0, "", 0, 0));
    for (int k = 0; k < KERNELS; k++) {
        kernels[k] = CL(void *, "clCreateKernel", void *, const char *, int *)(program, NAMES[k], &e);
        OK(e);
    }
    for (int i = 0; i < 6; i++) {
        void *from = i == 0 ? (void *)a : i == 1 ? (void *)b : i == 2 ? (void *)in : i == 5 ? (void *)(a + N / 2) : 0;
        mem[i] = CL(void *, "clCreateBuffer", void *, uint64_t, size_t, void *, int *)(context, from ? 1 | 32 /* read and write, copy */ : 1, i == 5 ? N * 2 : N * 4, from, &e);
        OK(e);
    }
    argument(0, 0, 4, &n), argument(0, 1, 4, &factor), buffer(0, 2, 0), buffer(0, 3, 1), buffer(0, 4, 3);
    argument(1, 0, 4, &w), argument(1, 1, 4, &h), buffer(1, 2, 0), buffer(1, 3, 3);
    argument(2, 0, 4, &n), buffer(2, 1, 2), buffer(2, 2, 3);
    argument(3, 0, 4, &m), buffer(3, 1, 0), buffer(3, 2, 1), buffer(3, 3, 3);
    argument(4, 0, 4, &bodies), buffer(4, 1, 0), buffer(4, 2, 3);
    argument(5, 0, 4, &n), buffer(5, 1, 2), buffer(5, 2, 3);
    argument(6, 0, 4, &options), buffer(6, 1, 0), buffer(6, 2, 1), buffer(6, 3, 5), buffer(6, 4, 3), buffer(6, 5, 4);
    argument(7, 0, 4, &pixels), argument(7, 1, 4, &rounds), buffer(7, 2, 3);
}

int main(int argc, char **argv) {
    int opencl = argc > 3 && !strcmp(argv[1], "opencl");
    a = floats(N, 1), b = floats(N, 2), in = numbers(N, 3), result = (float *)calloc(N, 4), second = (float *)calloc(N, 4);
    if (opencl) open_device(argv[3]);
    for (int k = 0; k < KERNELS; k++) {
        memset(result, 0, N * 4);
        if (opencl) {
            unsigned zero = 0;
            OK(CL(int, "clEnqueueFillBuffer", void *, void *, const void *, size_t, size_t, size_t, unsigned, void *, void *)(queue, mem[3], &zero, 4, 0, N * 4, 0, 0, 0));
        }
        measure(NAMES[k], opencl ? enqueue : loops, k);
        if (opencl) OK(CL(int, "clEnqueueReadBuffer", void *, void *, unsigned, size_t, size_t, void *, unsigned, void *, void *)(queue, mem[3], 1, 0, result_bytes[k], result, 0, 0, 0));
        keep(argv[2], NAMES[k], result, result_bytes[k]);
    }
    return 0;
}
