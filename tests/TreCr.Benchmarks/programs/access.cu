// Kernels that live on memory accesses. Prints, for each, nanoseconds per thread (per interaction for nbody), launch and wait included: the least of many launches.
#include "../../../samples/include/sample.h"

#include <time.h>

__global__ void saxpy(int n, float a, const float* x, float* y) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) y[i] = a * x[i] + y[i];
}

__global__ void stencil(int w, int h, const float* in, float* out) {
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    if (x <= 0 || y <= 0 || x >= w - 1 || y >= h - 1) return;
    int i = y * w + x;
    out[i] = 0.5f * in[i] + 0.125f * (in[i - 1] + in[i + 1] + in[i - w] + in[i + w]);
}

__global__ void nbody(int n, const float* p, float* acc) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= n) return;
    float x = p[4 * i], y = p[4 * i + 1], z = p[4 * i + 2], ax = 0, ay = 0, az = 0;
    for (int j = 0; j < n; j++) {
        float dx = p[4 * j] - x, dy = p[4 * j + 1] - y, dz = p[4 * j + 2] - z;
        float r2 = dx * dx + dy * dy + dz * dz + 0.01f, s = p[4 * j + 3] / (r2 * r2);
        ax += dx * s;
        ay += dy * s;
        az += dz * s;
    }
    acc[3 * i] = ax;
    acc[3 * i + 1] = ay;
    acc[3 * i + 2] = az;
}

__global__ void reduce(int n, const int* in, int* out) {
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

// Addresses that no arithmetic on thread numbers gives: every check stays.
__global__ void gather(int n, const int* index, const float* in, float* out) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) out[i] = in[index[i]];
}

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

template <class Launch> static void measure(const char* name, double threads, Launch launch) {
    double best = 1e30;
    for (int r = 0; r < 300; r++) {
        double start = now();
        launch();
        CUDA_OK(cudaDeviceSynchronize());
        double ns = (now() - start) / threads;
        if (ns < best) best = ns;
    }
    printf("%s %.4f\n", name, best);
}

int main() {
    const int n = 1 << 20, w = 1024, bodies = 1024;
    float *x, *y;
    int *index, *host = (int*)malloc(n * sizeof(int));
    for (int i = 0; i < n; i++) host[i] = (int)((unsigned)i * 2654435761u % (unsigned)n);
    CUDA_OK(cudaMalloc((void**)&x, n * sizeof(float)));
    CUDA_OK(cudaMalloc((void**)&y, n * sizeof(float)));
    CUDA_OK(cudaMalloc((void**)&index, n * sizeof(int)));
    CUDA_OK(cudaMemset(x, 0, n * sizeof(float)));
    CUDA_OK(cudaMemset(y, 0, n * sizeof(float)));
    CUDA_OK(cudaMemcpy(index, host, n * sizeof(int), cudaMemcpyHostToDevice));
    measure("saxpy", n, [&] { saxpy<<<n / 256, 256>>>(n, 1.5f, x, y); });
    measure("stencil", n, [&] { stencil<<<dim3(w / 32, n / w / 8), dim3(32, 8)>>>(w, n / w, x, y); });
    measure("nbody", (double)bodies * bodies, [&] { nbody<<<bodies / 128, 128>>>(bodies, x, y); });
    measure("reduce", n, [&] { reduce<<<64, 256>>>(n, index, (int*)y); });
    measure("gather", n, [&] { gather<<<n / 256, 256>>>(n, index, x, y); });
    free(host);
    return 0;
}
