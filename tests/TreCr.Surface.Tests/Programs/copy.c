// Copies and fills: a pattern goes round, and what lies beside it stays.
#include "surface.h"

#define N 300
static u32 a[N], b[N];

static void fresh(void)
{
    fill_random(a, sizeof a);
    memset(b, 0, sizeof b);
}

CASE(host_to_device_and_back, "cuMemcpyHtoD cuMemcpyDtoH")
{
    u64 p = device_words(NULL, N);
    fresh();
    OK(cuMemcpyHtoD(p + 4, a + 1, (N - 2) * 4));
    OK(cuMemcpyDtoH(b, p, N * 4));
    TRUE(b[0] == 0 && b[N - 1] == 0 && !memcmp(a + 1, b + 1, (N - 2) * 4));
    IS(1, cuMemcpyHtoD((u64)a, b, 4));
    IS(1, cuMemcpyDtoH(b, 0x1000, 4));
    OK(cuMemFree(p));
}

CASE(device_to_device, "cuMemcpyDtoD cuMemcpyDtoDAsync")
{
    fresh();
    u64 p = device_words(a, N), q = device_words(NULL, N), stream = 0;
    OK(cuMemcpyDtoD(q, p, N * 4));
    words_are(q, a, N);
    OK(cuStreamCreate(&stream, 1));
    memcpy(b, a, sizeof b);
    for (int i = 0; i < N / 2; i++) b[N / 2 + i] = a[i];
    OK(cuMemcpyDtoDAsync(q + N / 2 * 4, p, N / 2 * 4, stream));
    OK(cuStreamSynchronize(stream));
    words_are(q, b, N);
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

CASE(asynchronous_with_pageable_and_pinned_memory, "cuMemcpyHtoDAsync cuMemcpyDtoHAsync")
{
    u64 p = device_words(NULL, N), q = device_words(NULL, N), stream = 0;
    u32 *pinned = NULL;
    fresh();
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemHostAlloc((void **)&pinned, N * 4, 0));
    OK(cuMemcpyHtoDAsync(p, a, N * 4, stream));
    OK(cuMemcpyDtoHAsync(pinned, p, N * 4, stream));
    OK(cuMemcpyHtoDAsync(q, pinned, N * 4, stream));
    OK(cuMemcpyDtoHAsync(b, q, N * 4, stream));
    OK(cuStreamSynchronize(stream));
    TRUE(!memcmp(a, b, sizeof a) && !memcmp(a, pinned, sizeof a));
    OK(cuMemFreeHost(pinned));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

CASE(kind_from_the_address, "cuMemcpy cuMemcpyAsync")
{
    u64 p = device_words(NULL, N), q = device_words(NULL, N);
    fresh();
    OK(cuMemcpy(p, (u64)a, N * 4));
    OK(cuMemcpy(q, p, N * 4));
    OK(cuMemcpy((u64)b, q, N * 4));
    TRUE(!memcmp(a, b, sizeof a));
    fresh();
    OK(cuMemcpyAsync(p, (u64)a, N * 4, 0));
    OK(cuMemcpyAsync(q, p, N * 4, 0));
    OK(cuMemcpyAsync((u64)b, q, N * 4, 0));
    OK(cuCtxSynchronize());
    TRUE(!memcmp(a, b, sizeof a));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

// A 5 x 9 window of bytes out of a 40-byte-wide host picture into a pitched one, and back to another place.
static void window(int (*copy)(const CUDA_MEMCPY2D *, u64), u64 stream)
{
    enum { WIDTH = 40, ROWS = 20 };
    unsigned char from[ROWS][WIDTH], to[ROWS][WIDTH];
    u64 p = 0;
    size_t pitch = 0;
    fill_random(from, sizeof from);
    memset(to, 0, sizeof to);
    OK(cuMemAllocPitch(&p, &pitch, WIDTH, ROWS, 4));
    OK(cuMemsetD2D8(p, pitch, 0, WIDTH, ROWS));
    OK(cuCtxSynchronize());
    CUDA_MEMCPY2D in = {.srcMemoryType = 1, .srcHost = from, .srcPitch = WIDTH, .srcXInBytes = 3, .srcY = 2, .dstMemoryType = 2, .dstDevice = p, .dstPitch = pitch, .dstXInBytes = 11, .dstY = 4,
        .WidthInBytes = 9, .Height = 5};
    CUDA_MEMCPY2D out = {.srcMemoryType = 2, .srcDevice = p, .srcPitch = pitch, .srcXInBytes = 10, .srcY = 3, .dstMemoryType = 1, .dstHost = to, .dstPitch = WIDTH, .dstXInBytes = 20, .dstY = 7,
        .WidthInBytes = 11, .Height = 7};
    OK(copy(&in, stream));
    OK(copy(&out, stream));
    if (stream) OK(cuStreamSynchronize(stream));
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < WIDTH; x++) {
            int inside = y >= 8 && y < 13 && x >= 21 && x < 30;
            IS(inside ? from[y - 8 + 2][x - 21 + 3] : 0, to[y][x]);
        }
    in.dstPitch = 5;
    IS(1, copy(&in, stream));
    OK(cuMemFree(p));
}

// A 3 x 4 x 5 box out of a 8 x 6 x 7 one of bytes on the host, over a pitched one on the device, to another place.
static void box(int (*copy)(const CUDA_MEMCPY3D *, u64), u64 stream)
{
    enum { W = 8, H = 6, D = 7, PITCH = 32, ROWS = 9 };
    unsigned char from[D][H][W], to[D][H][W];
    u64 p = 0;
    fill_random(from, sizeof from);
    memset(to, 0, sizeof to);
    OK(cuMemAlloc(&p, PITCH * ROWS * D));
    OK(cuMemsetD8(p, 0, PITCH * ROWS * D));
    OK(cuCtxSynchronize());
    CUDA_MEMCPY3D in = {.srcMemoryType = 1, .srcHost = from, .srcPitch = W, .srcHeight = H, .srcXInBytes = 2, .srcY = 1, .srcZ = 2, .dstMemoryType = 2, .dstDevice = p, .dstPitch = PITCH,
        .dstHeight = ROWS, .dstXInBytes = 5, .dstY = 3, .dstZ = 1, .WidthInBytes = 3, .Height = 4, .Depth = 5, .srcContext = primary_context, .dstContext = primary_context};
    CUDA_MEMCPY3D out = {.srcMemoryType = 2, .srcDevice = p, .srcPitch = PITCH, .srcHeight = ROWS, .srcXInBytes = 5, .srcY = 3, .srcZ = 1, .dstMemoryType = 1, .dstHost = to, .dstPitch = W,
        .dstHeight = H, .dstXInBytes = 4, .dstY = 2, .dstZ = 1, .WidthInBytes = 3, .Height = 4, .Depth = 5, .srcContext = primary_context, .dstContext = primary_context};
    OK(copy(&in, stream));
    OK(copy(&out, stream));
    if (stream) OK(cuStreamSynchronize(stream));
    for (int z = 0; z < D; z++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int inside = z >= 1 && z < 6 && y >= 2 && y < 6 && x >= 4 && x < 7;
                IS(inside ? from[z + 1][y - 1][x - 2] : 0, to[z][y][x]);
            }
    in.dstHeight = 5;
    IS(1, copy(&in, stream));
    OK(cuMemFree(p));
}

static int box_plain(const CUDA_MEMCPY3D *c, u64 stream) { return cuMemcpy3D(c); }
static int box_asynchronous(const CUDA_MEMCPY3D *c, u64 stream) { return cuMemcpy3DAsync(c, stream); }
static int box_peer(const CUDA_MEMCPY3D *c, u64 stream) { return cuMemcpy3DPeer(c); }
static int box_peer_asynchronous(const CUDA_MEMCPY3D *c, u64 stream) { return cuMemcpy3DPeerAsync(c, stream); }

static void box_in_stream(int (*copy)(const CUDA_MEMCPY3D *, u64))
{
    u64 stream = 0;
    OK(cuStreamCreate(&stream, 1));
    box(copy, stream);
    OK(cuStreamDestroy(stream));
}

CASE(boxes, "cuMemcpy3D") { box(box_plain, 0); }
CASE(boxes_between_contexts, "cuMemcpy3DPeer") { box(box_peer, 0); }
CASE(boxes_asynchronous, "cuMemcpy3DAsync") { box_in_stream(box_asynchronous); }
CASE(boxes_between_contexts_asynchronous, "cuMemcpy3DPeerAsync") { box_in_stream(box_peer_asynchronous); }

CASE(between_contexts, "cuMemcpyPeer cuMemcpyPeerAsync")
{
    fresh();
    u64 p = device_words(a, N), q = device_words(NULL, N);
    OK(cuMemcpyPeer(q, primary_context, p, primary_context, N * 2));
    memcpy(b, a, N * 2);
    words_are(q, b, N);
    OK(cuMemcpyPeerAsync(q, primary_context, p, primary_context, N * 4, 0));
    words_are(q, a, N);
    IS(201, cuMemcpyPeer(q, 0x1234, p, primary_context, 4));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

static int plain(const CUDA_MEMCPY2D *c, u64 stream) { return cuMemcpy2D(c); }
static int unaligned(const CUDA_MEMCPY2D *c, u64 stream) { return cuMemcpy2DUnaligned(c); }
static int asynchronous(const CUDA_MEMCPY2D *c, u64 stream) { return cuMemcpy2DAsync(c, stream); }

CASE(windows, "cuMemcpy2D") { window(plain, 0); }
CASE(windows_unaligned, "cuMemcpy2DUnaligned") { window(unaligned, 0); }
CASE(windows_asynchronous, "cuMemcpy2DAsync")
{
    u64 stream = 0;
    OK(cuStreamCreate(&stream, 1));
    window(asynchronous, stream);
    OK(cuStreamDestroy(stream));
}

// Fills the middle of 64 elements of SIZE bytes, then a 3 x 5 window with a pitch of 16 elements, and compares every byte.
static void fill_check(int size, int asynchronously)
{
    unsigned char model[64 * 4], found[64 * 4];
    u32 value = random_u32(), second = random_u32();
    u64 stream = 0, p = 0;
    memset(model, 0xa5, sizeof model);
    OK(cuMemAlloc(&p, sizeof model));
    OK(cuMemcpyHtoD(p, model, sizeof model));
    // The bytes of a small copy may still be on their way when it returns ("API synchronization behavior"), and this stream waits for no other.
    if (asynchronously) { OK(cuCtxSynchronize()); OK(cuStreamCreate(&stream, 1)); }
    u64 at = p + 3 * size, window = p + 17 * size, pitch = 16 * size;
    if (size == 1) OK(asynchronously ? cuMemsetD8Async(at, value, 11, stream) : cuMemsetD8(at, value, 11));
    if (size == 2) OK(asynchronously ? cuMemsetD16Async(at, value, 11, stream) : cuMemsetD16(at, value, 11));
    if (size == 4) OK(asynchronously ? cuMemsetD32Async(at, value, 11, stream) : cuMemsetD32(at, value, 11));
    if (size == 1) OK(asynchronously ? cuMemsetD2D8Async(window, pitch, second, 5, 3, stream) : cuMemsetD2D8(window, pitch, second, 5, 3));
    if (size == 2) OK(asynchronously ? cuMemsetD2D16Async(window, pitch, second, 5, 3, stream) : cuMemsetD2D16(window, pitch, second, 5, 3));
    if (size == 4) OK(asynchronously ? cuMemsetD2D32Async(window, pitch, second, 5, 3, stream) : cuMemsetD2D32(window, pitch, second, 5, 3));
    if (asynchronously) { OK(cuStreamSynchronize(stream)); OK(cuStreamDestroy(stream)); }
    for (int i = 0; i < 11; i++) memcpy(model + (3 + i) * size, &value, size);
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 5; x++) memcpy(model + (17 + 16 * y + x) * size, &second, size);
    OK(cuMemcpyDtoH(found, p, sizeof found));
    for (size_t i = 0; i < sizeof found; i++) IS(model[i], found[i]);
    OK(cuMemFree(p));
}

CASE(fills_of_bytes, "cuMemsetD8 cuMemsetD2D8") { fill_check(1, 0); }
CASE(fills_of_halves, "cuMemsetD16 cuMemsetD2D16") { fill_check(2, 0); }
CASE(fills_of_words, "cuMemsetD32 cuMemsetD2D32") { fill_check(4, 0); }
CASE(fills_of_bytes_in_a_stream, "cuMemsetD8Async cuMemsetD2D8Async") { fill_check(1, 1); }
CASE(fills_of_halves_in_a_stream, "cuMemsetD16Async cuMemsetD2D16Async") { fill_check(2, 1); }
CASE(fills_of_words_in_a_stream, "cuMemsetD32Async cuMemsetD2D32Async") { fill_check(4, 1); }

CASE(fill_of_pinned_memory_is_seen_at_once, "cuMemsetD32 cuMemsetD8")
{
    u32 *pinned = NULL, value = random_u32();
    OK(cuMemHostAlloc((void **)&pinned, 4096, 0));
    for (int i = 0; i < 20; i++) {
        OK(cuMemsetD32((u64)pinned, value + i, 1024));
        IS(value + i, pinned[1023]);
    }
    OK(cuMemsetD8((u64)pinned, 7, 4096));
    IS(0x07070707, pinned[1000]);
    OK(cuMemFreeHost(pinned));
}
