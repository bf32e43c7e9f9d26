// Heat in a plate of uneven material: explicit finite differences on a square grid, edges held at their temperature.
//
// State on the device: two temperature fields (8 bytes per cell) and a constant material map of seven numbers (28 bytes per cell,
// 77 % of the state, random bits), so that a second checkpoint has little to store that the first one has not.
//
//   heat2d [--size N] [--steps N] [--every N] [--output FILE] [--png FILE] [--check 0|1]
//
// Prints one line every `--every` steps, compares the field with a computation on the CPU, writes it (a text line, then size * size
// floats, row by row) and a picture. Exit code 0: right; 1: wrong; 2: usage or file; 3: CUDA.
#include "include/sample.h"
#include "include/png.h"

#include <cmath>
#include <vector>

static const float Ambient = 20.0f, Hot = 900.0f, Step = 0.9f;

// One number of the material map: lowest + spread * u, u in [0, 1) from the cell's index and the layer's number.
__host__ __device__ static inline float material(uint32_t cell, uint32_t layer, float lowest, float spread) {
    return lowest + spread * ((float)(mix32(cell * 8u + layer) >> 8) * (1.0f / 16777216.0f));
}

__host__ __device__ static inline float initial(int x, int y, int n) {
    long long dx = 20LL * x - 7 * n, dy = 20LL * y - 9 * n, r = 3LL * n; // whole numbers: a cell is on the same side everywhere
    float noise = material((uint32_t)(y * n + x), 7, 0.0f, 5.0f);
    return (dx * dx + dy * dy < r * r ? Hot : Ambient) + noise;
}

struct Map {
    float *east;     // conductance to the cell at x + 1
    float *south;    // conductance to the cell at y + 1
    float *inverse;  // 1 / heat capacity
    float *source;   // heat made in the cell
    float *loss;     // linear loss
    float *radiate;  // quadratic loss
    float *outside;  // temperature that the losses tend to
};

__global__ void set_up(Map m, float* t, float* u, int n) {
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= n || y >= n) return;
    int i = y * n + x;
    uint32_t c = (uint32_t)i;
    m.east[i] = material(c, 0, 0.3f, 0.7f);
    m.south[i] = material(c, 1, 0.3f, 0.7f);
    m.inverse[i] = material(c, 2, 0.1f, 0.15f);
    m.source[i] = material(c, 3, 0.0f, 0.8f);
    m.loss[i] = material(c, 4, 0.0f, 0.002f);
    m.radiate[i] = material(c, 5, 0.0f, 0.00001f);
    m.outside[i] = material(c, 6, 10.0f, 10.0f);
    t[i] = u[i] = initial(x, y, n);
}

// One step of one cell; the edges are left as they are.
__global__ void diffuse(Map m, const float* t, float* u, int n) {
    int x = (int)(blockIdx.x * blockDim.x + threadIdx.x), y = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    if (x < 1 || y < 1 || x >= n - 1 || y >= n - 1) return;
    int i = y * n + x;
    float c = t[i];
    float flow = m.east[i] * (t[i + 1] - c) + m.east[i - 1] * (t[i - 1] - c) + m.south[i] * (t[i + n] - c) + m.south[i - n] * (t[i - n] - c);
    float d = c - m.outside[i];
    u[i] = c + Step * m.inverse[i] * (flow + m.source[i] - d * (m.loss[i] + m.radiate[i] * fabsf(d)));
}

// The same on the CPU. Sums are rounded in another order (the device fuses multiply and add), so fields agree only nearly.
static float difference_from_cpu(const std::vector<float>& field, int n, int steps) {
    size_t cells = (size_t)n * n;
    std::vector<float> k[7], t(cells), u;
    const float lowest[] = {0.3f, 0.3f, 0.1f, 0.0f, 0.0f, 0.0f, 10.0f}, spread[] = {0.7f, 0.7f, 0.15f, 0.8f, 0.002f, 0.00001f, 10.0f};
    for (int layer = 0; layer < 7; layer++) {
        k[layer].resize(cells);
        for (size_t i = 0; i < cells; i++) k[layer][i] = material((uint32_t)i, (uint32_t)layer, lowest[layer], spread[layer]);
    }
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++) t[(size_t)y * n + x] = initial(x, y, n);
    u = t;
    for (int s = 0; s < steps; s++) {
        for (int y = 1; y < n - 1; y++)
            for (int x = 1; x < n - 1; x++) {
                size_t i = (size_t)y * n + x;
                float c = t[i], d = c - k[6][i];
                float flow = k[0][i] * (t[i + 1] - c) + k[0][i - 1] * (t[i - 1] - c) + k[1][i] * (t[i + n] - c) + k[1][i - n] * (t[i - n] - c);
                u[i] = c + Step * k[2][i] * (flow + k[3][i] - d * (k[4][i] + k[5][i] * std::fabs(d)));
            }
        t.swap(u);
    }
    float worst = 0;
    for (size_t i = 0; i < cells; i++) {
        float e = std::fabs(t[i] - field[i]);
        if (!(e <= worst)) worst = e; // a NaN counts as the worst
    }
    return worst;
}

static bool write_picture(const char* path, const std::vector<float>& field, int n) {
    std::vector<uint8_t> pixels(field.size()), palette;
    for (size_t i = 0; i < field.size(); i++) {
        float v = (field[i] - Ambient) / (Hot - Ambient) * 255.0f;
        pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    for (int i = 0; i < 256; i++) { // black, red, yellow, white
        palette.push_back((uint8_t)(i * 3 < 255 ? i * 3 : 255));
        palette.push_back((uint8_t)(i * 3 < 255 ? 0 : i * 3 < 510 ? i * 3 - 255 : 255));
        palette.push_back((uint8_t)(i * 3 < 510 ? 0 : i * 3 - 510));
    }
    return png::write(path, pixels, (uint32_t)n, (uint32_t)n, palette);
}

int main(int argc, char** argv) {
    Options options(argc, argv, "heat2d [--size N] [--steps N] [--every N] [--output FILE] [--png FILE] [--check 0|1]");
    int n = options.number("--size", 256, 8), steps = options.number("--steps", 200, 1), every = options.number("--every", 20, 1);
    const char *output = options.text("--output", nullptr), *picture = options.text("--png", nullptr);
    bool check = options.number("--check", 1, 0) != 0;
    RunMark mark;
    mark.print("heat2d", "begin");

    size_t cells = (size_t)n * n, bytes = cells * sizeof(float);
    Map m;
    float** layers[] = {&m.east, &m.south, &m.inverse, &m.source, &m.loss, &m.radiate, &m.outside};
    for (float** layer : layers) CUDA_OK(cudaMalloc(layer, bytes));
    float *t, *u;
    CUDA_OK(cudaMalloc(&t, bytes));
    CUDA_OK(cudaMalloc(&u, bytes));

    fprintf(stderr, "heat2d: conductance map at %p, %zu bytes\n", (void*)m.east, bytes);

    dim3 block(32, 8), grid((unsigned)(n + 31) / 32, (unsigned)(n + 7) / 8);
    set_up<<<grid, block>>>(m, t, u, n);
    CUDA_OK(cudaGetLastError());
    mark.launches++;

    size_t centre = (size_t)(n / 2) * n + n / 2;
    for (int s = 1; s <= steps; s++) {
        if (s == steps) mark.hold();
        diffuse<<<grid, block>>>(m, t, u, n);
        CUDA_OK(cudaGetLastError());
        mark.launches++;
        float* swap = t; t = u; u = swap;
        if (s % every == 0 || s == steps) {
            float value;
            CUDA_OK(cudaMemcpy(&value, t + centre, sizeof value, cudaMemcpyDeviceToHost));
            printf("heat2d: step %d of %d, centre %.4f\n", s, steps, (double)value);
        }
    }

    std::vector<float> field(cells);
    CUDA_OK(cudaMemcpy(field.data(), t, bytes, cudaMemcpyDeviceToHost));
    for (float** layer : layers) CUDA_OK(cudaFree(*layer));
    CUDA_OK(cudaFree(t));
    CUDA_OK(cudaFree(u));

    if (output) {
        FILE* f = fopen(output, "wb");
        if (!f) { perror(output); return 2; }
        fprintf(f, "heat2d %d %d\n", n, steps);
        bool ok = fwrite(field.data(), sizeof(float), cells, f) == cells;
        if (fclose(f) != 0 || !ok) { perror(output); return 2; }
        mark.write_beside(output);
    }
    if (picture && !write_picture(picture, field, n)) { perror(picture); return 2; }

    printf("heat2d: field %016llx\n", (unsigned long long)fnv1a(field.data(), bytes));
    bool right = mark.launches == steps + 1;
    if (check) {
        float worst = difference_from_cpu(field, n, steps);
        printf("heat2d: largest difference from the CPU %.6f\n", (double)worst);
        right = right && worst < 0.05f;
    }
    mark.print("heat2d", "end");
    printf("heat2d: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
