// Bodies that attract each other, all pairs, in tiles of shared memory; reciprocal square roots in single precision.
//
//   nbody [--bodies N] [--steps N] [--every N] [--output FILE]
//
// Before the first and after the last step one step is computed on the CPU too and compared. Runs with the same options give the same
// bits on the same device kind. Exit code 0: right; 1: wrong; 2: usage or file; 3: CUDA.
#include "include/sample.h"

#include <cmath>
#include <vector>

static const int Tile = 128;
static const float Softening = 0.05f, Dt = 0.002f;

__device__ static float4 pull(float4 self, float4 other, float4 sum) {
    float dx = other.x - self.x, dy = other.y - self.y, dz = other.z - self.z;
    float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + Softening * Softening);
    float f = other.w * inverse * inverse * inverse;
    sum.x += dx * f;
    sum.y += dy * f;
    sum.z += dz * f;
    return sum;
}

// position.w is the mass. n is a multiple of Tile.
__global__ void accelerate(const float4* position, float4* acceleration, int n) {
    __shared__ float4 tile[Tile];
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    float4 self = position[i], sum = make_float4(0, 0, 0, 0);
    for (int start = 0; start < n; start += Tile) {
        tile[threadIdx.x] = position[start + (int)threadIdx.x];
        __syncthreads();
        for (int k = 0; k < Tile; k++) sum = pull(self, tile[k], sum);
        __syncthreads();
    }
    acceleration[i] = sum;
}

__global__ void move(float4* position, float4* velocity, const float4* acceleration) {
    int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    float4 v = velocity[i], p = position[i], a = acceleration[i];
    v.x += a.x * Dt; v.y += a.y * Dt; v.z += a.z * Dt;
    p.x += v.x * Dt; p.y += v.y * Dt; p.z += v.z * Dt;
    velocity[i] = v;
    position[i] = p;
}

struct State { std::vector<float4> position, velocity; };

static State one_step_on_cpu(const State& s) {
    State next = s;
    size_t n = s.position.size();
    for (size_t i = 0; i < n; i++) {
        double ax = 0, ay = 0, az = 0;
        for (size_t k = 0; k < n; k++) {
            double dx = (double)s.position[k].x - s.position[i].x, dy = (double)s.position[k].y - s.position[i].y, dz = (double)s.position[k].z - s.position[i].z;
            double r2 = dx * dx + dy * dy + dz * dz + (double)Softening * Softening, f = s.position[k].w / (r2 * std::sqrt(r2));
            ax += dx * f; ay += dy * f; az += dz * f;
        }
        float4 &v = next.velocity[i], &p = next.position[i];
        v.x += (float)ax * Dt; v.y += (float)ay * Dt; v.z += (float)az * Dt;
        p.x += v.x * Dt; p.y += v.y * Dt; p.z += v.z * Dt;
    }
    return next;
}

static double difference(const State& a, const State& b) {
    double worst = 0;
    for (size_t i = 0; i < a.position.size(); i++) {
        const float4 pairs[2][2] = {{a.position[i], b.position[i]}, {a.velocity[i], b.velocity[i]}};
        for (const auto& q : pairs)
            for (double e : {(double)q[0].x - q[1].x, (double)q[0].y - q[1].y, (double)q[0].z - q[1].z})
                if (!(std::fabs(e) <= worst)) worst = std::fabs(e);
    }
    return worst;
}

int main(int argc, char** argv) {
    Options options(argc, argv, "nbody [--bodies N] [--steps N] [--every N] [--output FILE]");
    int n = (options.number("--bodies", 512, 1) + Tile - 1) / Tile * Tile;
    int steps = options.number("--steps", 100, 2), every = options.number("--every", 10, 1);
    const char* output = options.text("--output", nullptr);
    RunMark mark;
    mark.print("nbody", "begin");

    State start;
    for (int i = 0; i < n; i++) {
        auto u = [i](uint32_t k) { return (float)(mix32((uint32_t)i * 8u + k) >> 8) / 8388608.0f - 1.0f; };
        start.position.push_back(make_float4(u(0), u(1), u(2), 0.5f + 0.4f * u(3)));
        start.velocity.push_back(make_float4(0.1f * u(4), 0.1f * u(5), 0.1f * u(6), 0));
    }
    size_t bytes = (size_t)n * sizeof(float4);
    float4 *position, *velocity, *acceleration;
    CUDA_OK(cudaMalloc(&position, bytes));
    CUDA_OK(cudaMalloc(&velocity, bytes));
    CUDA_OK(cudaMalloc(&acceleration, bytes));
    CUDA_OK(cudaMemcpy(position, start.position.data(), bytes, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(velocity, start.velocity.data(), bytes, cudaMemcpyHostToDevice));

    State before = start, after = start;
    auto fetch = [&](State& into) {
        CUDA_OK(cudaMemcpy(into.position.data(), position, bytes, cudaMemcpyDeviceToHost));
        CUDA_OK(cudaMemcpy(into.velocity.data(), velocity, bytes, cudaMemcpyDeviceToHost));
    };
    double worst = 0;
    for (int s = 1; s <= steps; s++) {
        if (s == steps) mark.hold();
        bool compare = s == 1 || s == steps;
        if (compare) fetch(before);
        accelerate<<<(unsigned)(n / Tile), Tile>>>(position, acceleration, n);
        CUDA_OK(cudaGetLastError());
        move<<<(unsigned)(n / Tile), Tile>>>(position, velocity, acceleration);
        CUDA_OK(cudaGetLastError());
        mark.launches += 2;
        if (compare) {
            fetch(after);
            double d = difference(after, one_step_on_cpu(before));
            if (!(d <= worst)) worst = d;
        }
        if (s % every == 0 || s == steps) {
            float4 first;
            CUDA_OK(cudaMemcpy(&first, position, sizeof first, cudaMemcpyDeviceToHost));
            printf("nbody: step %d of %d, first body at %.5f %.5f %.5f\n", s, steps, (double)first.x, (double)first.y, (double)first.z);
        }
    }
    fetch(after);
    CUDA_OK(cudaFree(position));
    CUDA_OK(cudaFree(velocity));
    CUDA_OK(cudaFree(acceleration));

    if (output) {
        FILE* f = fopen(output, "wb");
        if (!f) { perror(output); return 2; }
        bool ok = fwrite(after.position.data(), 1, bytes, f) == bytes && fwrite(after.velocity.data(), 1, bytes, f) == bytes;
        if (fclose(f) != 0 || !ok) { perror(output); return 2; }
        mark.write_beside(output);
    }
    uint64_t print = fnv1a(after.velocity.data(), bytes, fnv1a(after.position.data(), bytes));
    bool moved = difference(start, after) > 0.001;
    printf("nbody: state %016llx, largest difference from the CPU %.7f\n", (unsigned long long)print, worst);
    mark.print("nbody", "end");
    bool right = moved && worst < 0.002 && mark.launches == 2LL * steps;
    printf("nbody: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
