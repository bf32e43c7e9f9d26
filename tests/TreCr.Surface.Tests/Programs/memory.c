// Allocation of every kind, and questions about addresses.
#include "surface.h"

static u64 two[2];
static u32 words[2][256];

KEPT(two_allocations, "cuMemAlloc cuMemGetAddressRange cuMemcpyHtoD cuMemcpyDtoH")
{
    u64 start = 0;
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        fill_random(words[i], sizeof words[i]);
        OK(cuMemAlloc(&two[i], sizeof words[i]));
        TRUE(two[i] != 0 && two[i] % 256 == 0);
    }
    TRUE(two[1] >= two[0] + sizeof words[0] || two[0] >= two[1] + sizeof words[1]);
    for (int i = 0; i < 2; i++) OK(cuMemcpyHtoD(two[i], words[i], sizeof words[i]));
    OK(cuMemGetAddressRange(&start, &bytes, two[0] + 100));
    IS(two[0], start);
    TRUE(bytes >= sizeof words[0]);
    IS(1, cuMemAlloc(&start, 0));
}
FOUND(two_allocations)
{
    u64 start = 0;
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        words_are(two[i], words[i], 256);
        OK(cuMemGetAddressRange(&start, &bytes, two[i] + 1023));
        IS(two[i], start);
    }
}

CASE(freed_memory_comes_back, "cuMemFree cuMemGetInfo cuMemAlloc")
{
    size_t before = 0, during = 0, after = 0, total = 0, bytes = 64 << 20;
    u64 p = 0;
    OK(cuMemGetInfo(&before, &total));
    OK(cuMemAlloc(&p, bytes));
    OK(cuMemGetInfo(&during, &total));
    TRUE(during + bytes <= before);
    OK(cuMemFree(p));
    OK(cuMemGetInfo(&after, &total));
    TRUE(after >= during + bytes);
    IS(1, cuMemFree(p));
    OK(cuMemFree(0));
    IS(2, cuMemAlloc(&p, (size_t)1 << 46));
}

CASE(rows_with_a_pitch, "cuMemAllocPitch")
{
    u64 p = 0, start = 0;
    size_t pitch = 0, bytes = 0;
    OK(cuMemAllocPitch(&p, &pitch, 300, 7, 4));
    TRUE(p && pitch >= 300 && pitch % 32 == 0);
    OK(cuMemGetAddressRange(&start, &bytes, p));
    IS(p, start);
    TRUE(bytes >= 6 * pitch + 300);
    OK(cuMemsetD2D8(p, pitch, 3, 300, 7));
    OK(cuMemFree(p));
    IS(1, cuMemAllocPitch(&p, &pitch, 300, 7, 5));
}

static void *pinned[2];
static u32 pinned_words[2][64];

KEPT(pinned_memory, "cuMemHostAlloc cuMemAllocHost cuMemHostGetFlags cuMemHostGetDevicePointer")
{
    u32 flags = 77;
    u64 address = 0;
    OK(cuMemHostAlloc(&pinned[0], 64 * 4, 1));
    OK(cuMemAllocHost(&pinned[1], 64 * 4));
    for (int i = 0; i < 2; i++) {
        fill_random(pinned_words[i], sizeof pinned_words[i]);
        memcpy(pinned[i], pinned_words[i], sizeof pinned_words[i]);
    }
    OK(cuMemHostGetFlags(&flags, pinned[0]));
    TRUE((flags & 1) && flags < 8);
    OK(cuMemHostGetDevicePointer(&address, pinned[1], 0));
    IS((u64)pinned[1], address);
    IS(1, cuMemHostGetFlags(&flags, words));
    IS(1, cuMemHostGetDevicePointer(&address, words, 0));
}
FOUND(pinned_memory)
{
    u32 out[64], flags = 77;
    for (int i = 0; i < 2; i++) {
        u64 address = 0;
        TRUE(!memcmp(pinned[i], pinned_words[i], sizeof pinned_words[i]));
        OK(cuMemHostGetDevicePointer(&address, pinned[i], 0));
        run_affine(address, address, 64, 0);
        OK(cuCtxSynchronize());
        affine_of(out, pinned_words[i], 64);
        TRUE(!memcmp(pinned[i], out, sizeof out));
    }
    OK(cuMemHostGetFlags(&flags, pinned[0]));
    TRUE(flags & 1);
    for (int i = 0; i < 2; i++) OK(cuMemFreeHost(pinned[i]));
}

CASE(freed_pinned_memory_is_unknown, "cuMemFreeHost")
{
    void *p = NULL;
    int type = 77;
    OK(cuMemHostAlloc(&p, 4096, 0));
    OK(cuPointerGetAttribute(&type, 2, (u64)p));
    IS(1, type);
    OK(cuMemFreeHost(p));
    IS(1, cuPointerGetAttribute(&type, 2, (u64)p));
    IS(1, cuMemFreeHost(words));
}

static char registered[8192];

KEPT(registered_memory, "cuMemHostRegister cuMemHostUnregister")
{
    int type = 77;
    fill_random(registered, sizeof registered);
    OK(cuMemHostRegister(registered, sizeof registered, 0));
    IS(712, cuMemHostRegister(registered + 4096, 4096, 0));
    OK(cuPointerGetAttribute(&type, 2, (u64)registered + 5));
    IS(1, type);
    IS(713, cuMemHostUnregister(words));
}
FOUND(registered_memory)
{
    int type = 77;
    u64 p = device_words(NULL, 2048);
    OK(cuPointerGetAttribute(&type, 2, (u64)registered + 5));
    IS(1, type);
    OK(cuMemcpyHtoDAsync(p, registered, sizeof registered, 0));
    OK(cuCtxSynchronize());
    words_are(p, (u32 *)registered, 2048);
    OK(cuMemHostUnregister(registered));
    IS(713, cuMemHostUnregister(registered));
    OK(cuMemFree(p));
}

static u64 managed;
static u32 managed_words[128];

KEPT(managed_memory, "cuMemAllocManaged cuMemAdvise cuMemPrefetchAsync")
{
    u32 out[128];
    fill_random(managed_words, sizeof managed_words);
    OK(cuMemAllocManaged(&managed, sizeof managed_words, 1));
    memcpy((void *)managed, managed_words, sizeof managed_words);
    OK(cuMemAdvise(managed, sizeof managed_words, 1, device));
    OK(cuMemPrefetchAsync(managed, sizeof managed_words, device, 0));
    run_affine(managed, managed, 128, 0);
    OK(cuCtxSynchronize());
    affine_of(out, managed_words, 128);
    TRUE(!memcmp((void *)managed, out, sizeof out));
    IS(1, cuMemAdvise((u64)words, 16, 1, device));
    IS(1, cuMemAdvise(managed, 16, 77, device));
    IS(1, cuMemPrefetchAsync((u64)words, 16, device, 0));
    IS(1, cuMemAllocManaged(&managed, 16, 0));
}
FOUND(managed_memory)
{
    u32 once[128], twice[128];
    affine_of(once, managed_words, 128);
    TRUE(!memcmp((void *)managed, once, sizeof once));
    run_affine(managed, managed, 128, 0);
    OK(cuCtxSynchronize());
    affine_of(twice, once, 128);
    TRUE(!memcmp((void *)managed, twice, sizeof twice));
    OK(cuMemFree(managed));
}

static u64 ordered[2], ordered_stream;
static u32 ordered_words[2][512];

KEPT(stream_ordered_memory, "cuMemAllocAsync cuMemAllocFromPoolAsync")
{
    u64 pool = 0;
    OK(cuStreamCreate(&ordered_stream, 1));
    OK(cuDeviceGetDefaultMemPool(&pool, device));
    fill_random(ordered_words, sizeof ordered_words);
    OK(cuMemAllocAsync(&ordered[0], sizeof ordered_words[0], ordered_stream));
    OK(cuMemAllocFromPoolAsync(&ordered[1], sizeof ordered_words[1], pool, ordered_stream));
    TRUE(ordered[0] && ordered[1] && ordered[0] != ordered[1]);
    for (int i = 0; i < 2; i++) OK(cuMemcpyHtoDAsync(ordered[i], ordered_words[i], sizeof ordered_words[i], ordered_stream));
    OK(cuStreamSynchronize(ordered_stream));
}
FOUND(stream_ordered_memory)
{
    u64 start = 0;
    size_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        words_are(ordered[i], ordered_words[i], 512);
        OK(cuMemGetAddressRange(&start, &bytes, ordered[i]));
        IS(ordered[i], start);
        OK(cuMemFreeAsync(ordered[i], ordered_stream));
    }
    OK(cuStreamSynchronize(ordered_stream));
    OK(cuStreamDestroy(ordered_stream));
}

CASE(freed_in_the_order_of_the_stream, "cuMemFreeAsync")
{
    u64 p = 0, stream = 0;
    int type = 77;
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemAllocAsync(&p, 4096, stream));
    OK(cuMemFreeAsync(p, stream));
    OK(cuStreamSynchronize(stream));
    IS(1, cuPointerGetAttribute(&type, 2, p));
    OK(cuStreamDestroy(stream));
    IS(1, cuMemFreeAsync(p, 0));
    OK(cuMemFreeAsync(0, 0));
}

KEPT(pool_attributes, "cuMemPoolSetAttribute cuMemPoolGetAttribute")
{
    u64 pool = 0, threshold = (u64)random_u32() << 20, found = 7;
    int reuse = 0;
    OK(cuDeviceGetDefaultMemPool(&pool, device));
    OK(cuMemPoolSetAttribute(pool, 4, &threshold));
    OK(cuMemPoolGetAttribute(pool, 4, &found));
    IS(threshold, found);
    OK(cuMemPoolSetAttribute(pool, 1, &reuse));
    reuse = 77;
    OK(cuMemPoolGetAttribute(pool, 1, &reuse));
    IS(0, reuse);
    threshold = 123 << 20;
    OK(cuMemPoolSetAttribute(pool, 4, &threshold));
    IS(1, cuMemPoolSetAttribute(0x1234, 4, &threshold));
}
FOUND(pool_attributes)
{
    u64 pool = 0, found = 7;
    OK(cuDeviceGetDefaultMemPool(&pool, device));
    OK(cuMemPoolGetAttribute(pool, 4, &found));
    IS(123 << 20, found);
}

CASE(access_to_the_own_pool, "cuMemPoolGetAccess cuMemPoolTrimTo cuDeviceSetMemPool")
{
    u64 pool = 0;
    int flags = 77, location[] = {1, device};
    OK(cuDeviceGetDefaultMemPool(&pool, device));
    OK(cuMemPoolGetAccess(&flags, pool, location));
    IS(3, flags);
    OK(cuMemPoolTrimTo(pool, 0));
    IS(1, cuMemPoolTrimTo(0x1234, 0));
    OK(cuDeviceSetMemPool(device, pool));
    IS(1, cuDeviceSetMemPool(device, 0x1234));
}

static u64 asked, asked_id;

KEPT(pointer_attributes, "cuPointerGetAttribute cuPointerGetAttributes")
{
    u64 context = 0, start = 0;
    u32 type = 77;
    int ordinal = 77;
    size_t bytes = 0;
    OK(cuMemAlloc(&asked, 1000));
    OK(cuPointerGetAttribute(&context, 1, asked + 8));
    IS(primary_context, context);
    OK(cuPointerGetAttribute(&type, 2, asked));
    IS(2, type);
    OK(cuPointerGetAttribute(&ordinal, 9, asked));
    IS(device, ordinal);
    OK(cuPointerGetAttribute(&start, 11, asked + 999));
    IS(asked, start);
    OK(cuPointerGetAttribute(&bytes, 12, asked));
    TRUE(bytes >= 1000);
    OK(cuPointerGetAttribute(&asked_id, 7, asked));
    TRUE(asked_id != 0);
    IS(1, cuPointerGetAttribute(&type, 2, (u64)words));
}
FOUND(pointer_attributes)
{
    int which[] = {2, 9, 7, 8};
    u32 type = 77;
    int ordinal = 77;
    u64 id = 0;
    char is_managed = 7;
    void *values[] = {&type, &ordinal, &id, &is_managed};
    OK(cuPointerGetAttributes(4, which, values, asked));
    IS(2, type);
    IS(device, ordinal);
    IS(asked_id, id);
    IS(0, is_managed);
    OK(cuPointerGetAttributes(3, which, values, (u64)words));
    IS(0, type);
    IS(-2, ordinal);
    OK(cuMemFree(asked));
}
