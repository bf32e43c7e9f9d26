// Texture and surface references, as programs had them before CUDA 12: `texture<>` and `surface<>` variables of the source. Each round reads one array and writes the other, which are bound anew; what else is read is
// bound once, at the start. Exact: the CPU computes the same.
//   references --rounds N --every N
#include "../../../samples/include/sample.h"

#include <vector>

enum { Width = 48, Height = 40, Cells = Width * Height, Pitch = 64 };

texture<unsigned int, 2, cudaReadModeElementType> grid;
texture<unsigned int, 1, cudaReadModeElementType> line;        // linear memory
texture<float, 2, cudaReadModeElementType> slope;              // rows with a pitch, filtered
texture<uchar4, 2, cudaReadModeNormalizedFloat> colours;       // bytes read as numbers, again and again beyond the border
surface<void, cudaSurfaceType2D> next;

__global__ void step(unsigned int round) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
    if (x >= Width) return;
    unsigned int here = tex2D(grid, x + 0.5f, y + 0.5f), left = tex2D(grid, x - 0.5f, y + 0.5f), below = tex2D(grid, x + 0.5f, y + 1.5f);
    unsigned int half = (unsigned int)(2 * tex2D(slope, x + 1.0f, y + 0.5f)); // between two texels
    float4 c = tex2D(colours, (x + 0.5f) / 8 + 3, (y + 0.5f) / 8 - 2);
    unsigned int word = here * 3 + left + (below ^ round) + tex1Dfetch(line, y * Width + x) + half + (unsigned int)(c.z * 255 + 0.5f);
    surf2Dwrite(word, next, x * (int)sizeof word, y, cudaBoundaryModeTrap);
}

static unsigned int slope_at(int x, int y) { return (unsigned int)(x * 5 + y * 3) % 101; }

int main(int argc, char** argv) {
    Options options(argc, argv, "references [--rounds N] [--every N]");
    int rounds = options.number("--rounds", 60, 1), every = options.number("--every", 2, 1);
    RunMark mark;
    mark.print("references", "begin");

    std::vector<unsigned int> cells(Cells), words(Cells);
    std::vector<float> rows(Pitch * Height);
    std::vector<unsigned char> bytes(8 * 8 * 4);
    for (int i = 0; i < Cells; i++) { cells[i] = mix32(i); words[i] = mix32(i + 77777); }
    for (int i = 0; i < 8 * 8 * 4; i++) bytes[i] = (unsigned char)mix32(i + 5);
    for (int y = 0; y < Height; y++) for (int x = 0; x < Pitch; x++) rows[y * Pitch + x] = (float)slope_at(x, y);

    cudaArray_t arrays[2], small;
    unsigned int* linear;
    float* pitched;
    cudaChannelFormatDesc word = cudaCreateChannelDesc<unsigned int>(), number = cudaCreateChannelDesc<float>(), colour = cudaCreateChannelDesc<uchar4>();
    for (int n = 0; n < 2; n++) CUDA_OK(cudaMallocArray(&arrays[n], &word, Width, Height, cudaArraySurfaceLoadStore));
    CUDA_OK(cudaMallocArray(&small, &colour, 8, 8));
    CUDA_OK(cudaMalloc(&linear, Cells * sizeof *linear));
    CUDA_OK(cudaMalloc(&pitched, rows.size() * sizeof(float)));
    CUDA_OK(cudaMemcpy2DToArray(arrays[0], 0, 0, cells.data(), Width * 4, Width * 4, Height, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy2DToArray(small, 0, 0, bytes.data(), 32, 32, 8, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(linear, words.data(), Cells * sizeof *linear, cudaMemcpyHostToDevice));
    CUDA_OK(cudaMemcpy(pitched, rows.data(), rows.size() * sizeof(float), cudaMemcpyHostToDevice));

    grid.addressMode[0] = grid.addressMode[1] = cudaAddressModeClamp;
    slope.addressMode[0] = slope.addressMode[1] = cudaAddressModeClamp;
    slope.filterMode = cudaFilterModeLinear;
    colours.addressMode[0] = colours.addressMode[1] = cudaAddressModeWrap;
    colours.normalized = true;
    size_t offset = 77;
    CUDA_OK(cudaBindTexture(&offset, line, linear, word, Cells * sizeof *linear));
    CUDA_OK(cudaBindTexture2D(nullptr, slope, pitched, number, Width, Height, Pitch * sizeof(float)));
    CUDA_OK(cudaBindTextureToArray(colours, small, colour));

    for (int r = 1; r <= rounds; r++) {
        if (r == rounds) mark.hold();
        CUDA_OK(cudaBindTextureToArray(grid, arrays[(r - 1) % 2], word));
        CUDA_OK(cudaBindSurfaceToArray(next, arrays[r % 2], word));
        step<<<dim3((Width + 31) / 32, Height), 32>>>((unsigned int)r);
        CUDA_OK(cudaGetLastError());
        mark.launches++;
        if (r % every == 0 || r == rounds) {
            CUDA_OK(cudaDeviceSynchronize());
            printf("references: round %d of %d\n", r, rounds);
        }
    }
    std::vector<unsigned int> found(Cells), expected = cells, last;
    CUDA_OK(cudaMemcpy2DFromArray(found.data(), Width * 4, arrays[rounds % 2], 0, 0, Width * 4, Height, cudaMemcpyDeviceToHost));
    for (int r = 1; r <= rounds; r++) {
        last = expected;
        for (int y = 0; y < Height; y++)
            for (int x = 0; x < Width; x++) {
                int right = x + 1 < Width ? x + 1 : x;
                expected[y * Width + x] = last[y * Width + x] * 3 + last[y * Width + (x > 0 ? x - 1 : 0)] + (last[(y + 1 < Height ? y + 1 : y) * Width + x] ^ (unsigned int)r) + words[y * Width + x]
                    + slope_at(x, y) + slope_at(right, y) + bytes[(y % 8 * 8 + x % 8) * 4 + 2];
            }
    }
    CUDA_OK(cudaUnbindTexture(line));
    bool right = found == expected && offset == 0 && mark.launches == rounds;
    printf("references: cells %016llx\n", (unsigned long long)fnv1a(found.data(), Cells * sizeof(unsigned int)));
    mark.print("references", "end");
    printf("references: %s\n", right ? "PASSED" : "FAILED");
    return right ? 0 : 1;
}
