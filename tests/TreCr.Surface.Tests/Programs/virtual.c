// Reservations and physical memory, pools, memory of graphs.
#include "surface.h"

#define MIB ((size_t)1 << 20)
#define N 64
static const memory_properties pinned = {1, 0, 1, 0, NULL, {0}};
static const int everything[] = {1, 0, 3};

static u64 place(size_t bytes)
{
    u64 address = 0;
    OK(cuMemAddressReserve(&address, bytes, 0, 0, 0));
    IS(0, address % (2 * MIB));
    return address;
}

static u64 physical(size_t bytes)
{
    u64 handle = 0;
    OK(cuMemCreate(&handle, bytes, &pinned, 0));
    return handle;
}

CASE(memory_at_a_reserved_place, "cuMemAddressReserve cuMemAddressFree cuMemCreate cuMemRelease cuMemMap cuMemUnmap cuMemSetAccess cuMemGetAccess cuMemGetAllocationGranularity cuMemGetAllocationPropertiesFromHandle cuMemRetainAllocationHandle")
{
    size_t step = 0, free_before, free_after, total;
    u32 words[N], zero[N] = {0};
    u64 flags = 7, again = 0, handle, other, at;
    int here[] = {1, device};
    memory_properties found;
    OK(cuMemGetAllocationGranularity(&step, &pinned, 0));
    IS(2 * MIB, step);
    OK(cuMemGetInfo(&free_before, &total));
    at = place(3 * step);
    handle = physical(step);
    other = physical(2 * step);
    memset(&found, 7, sizeof found);
    OK(cuMemGetAllocationPropertiesFromHandle(&found, handle));
    TRUE(found.type == 1 && found.location_type == 1 && found.location == 0 && found.handle_types == 0);
    IS(1, cuMemMap(at, step, 0, other, 0));
    IS(1, cuMemMap(at + 2 * step, 2 * step, 0, other, 0));
    IS(1, cuMemSetAccess(at, step, everything, 1));
    OK(cuMemMap(at, step, 0, handle, 0));
    OK(cuMemMap(at + step, 2 * step, 0, other, 0));
    IS(1, cuMemMap(at, step, 0, handle, 0));
    OK(cuMemGetAccess(&flags, here, at));
    IS(0, flags);
    OK(cuMemSetAccess(at, 3 * step, everything, 1));
    OK(cuMemGetAccess(&flags, here, at + step));
    IS(3, flags);
    words_are(at + step - 2 * N, zero, N); // across the border
    fill_random(words, sizeof words);
    OK(cuMemcpyHtoD(at + step - 2 * N, words, sizeof words));
    words_are(at + step - 2 * N, words, N);
    IS(1, cuMemAddressFree(at, 3 * step));
    IS(1, cuMemUnmap(at, step / 2));
    // Taken away and put elsewhere, contents stay with the memory.
    OK(cuMemUnmap(at, 3 * step));
    OK(cuMemMap(at + 2 * step, step, 0, handle, 0));
    OK(cuMemSetAccess(at + 2 * step, step, everything, 1));
    words_are(at + 3 * step - 2 * N, words, N / 2);
    OK(cuMemRetainAllocationHandle(&again, at + 2 * step));
    IS(handle, again);
    OK(cuMemRelease(handle));
    OK(cuMemRelease(handle));
    IS(1, cuMemRelease(handle));
    OK(cuMemUnmap(at + 2 * step, step));
    IS(1, cuMemMap(at, step, 0, handle, 0));
    OK(cuMemRelease(other));
    OK(cuMemAddressFree(at, 3 * step));
    IS(1, cuMemAddressFree(at, 3 * step));
    OK(cuMemGetInfo(&free_after, &total));
    IS(free_before, free_after);
}

// As in a program of cudart 11.8 that has only chosen its device yet.
CASE(reserved_memory_without_a_current_context, "cuMemAddressReserve cuMemCreate cuMemMap cuMemSetAccess")
{
    u64 was = 0, now = 7, at, handle;
    u32 words[N];
    OK(cuCtxPopCurrent(&was));
    at = place(2 * MIB);
    handle = physical(2 * MIB);
    OK(cuMemMap(at, 2 * MIB, 0, handle, 0));
    OK(cuMemSetAccess(at, 2 * MIB, everything, 1));
    OK(cuMemRelease(handle));
    OK(cuCtxGetCurrent(&now));
    IS(0, now);
    OK(cuCtxPushCurrent(was));
    fill_random(words, sizeof words);
    OK(cuMemcpyHtoD(at, words, sizeof words));
    words_are(at, words, N);
    OK(cuMemUnmap(at, 2 * MIB));
    OK(cuMemAddressFree(at, 2 * MIB));
}

static u64 outlives_at, outlives_handle;
static u32 outlives_words[N];

// They belong to the process: made in a context, used in another one when that has ended (as in NVIDIA's memMapIPCDrv), also where one was made since.
KEPT(reserved_memory_outlives_its_context, "cuMemAddressReserve cuMemCreate cuMemMap cuMemUnmap cuMemRelease cuMemAddressFree")
{
    u64 context = 0, owner = 7;
    OK(cuCtxCreate(&context, 0, device));
    outlives_at = place(4 * MIB);
    outlives_handle = physical(2 * MIB);
    OK(cuMemMap(outlives_at + 2 * MIB, 2 * MIB, 0, outlives_handle, 0));
    OK(cuMemSetAccess(outlives_at + 2 * MIB, 2 * MIB, everything, 1));
    fill_random(outlives_words, sizeof outlives_words);
    OK(cuMemcpyHtoD(outlives_at + 2 * MIB, outlives_words, sizeof outlives_words));
    OK(cuPointerGetAttribute(&owner, 1, outlives_at + 2 * MIB));
    IS(0, owner);
    OK(cuCtxDestroy(context));
    words_are(outlives_at + 2 * MIB, outlives_words, N);
}
FOUND(reserved_memory_outlives_its_context)
{
    u64 context = 0, was = 0;
    words_are(outlives_at + 2 * MIB, outlives_words, N);
    OK(cuCtxCreate(&context, 0, device));
    OK(cuMemUnmap(outlives_at + 2 * MIB, 2 * MIB)); // what keeps the contents meanwhile has no context either
    OK(cuCtxDestroy(context));
    OK(cuMemMap(outlives_at, 2 * MIB, 0, outlives_handle, 0));
    words_are(outlives_at, outlives_words, N);
    OK(cuCtxPopCurrent(&was));
    OK(cuMemUnmap(outlives_at, 2 * MIB));
    OK(cuMemRelease(outlives_handle));
    OK(cuMemAddressFree(outlives_at, 4 * MIB));
    OK(cuCtxPushCurrent(was));
}

// The work that is waited for is in a context that is not current.
CASE(memory_moves_when_all_contexts_are_done, "cuMemMap")
{
    u64 context = 0, at, handle, its = 0, f = 0;
    u32 value = random_u32(), words = 1 << 20, got = 0;
    at = place(8 * MIB);
    handle = physical(4 * MIB);
    OK(cuMemMap(at, 4 * MIB, 0, handle, 0));
    OK(cuMemSetAccess(at, 4 * MIB, everything, 1));
    OK(cuCtxCreate(&context, 0, device));
    OK(cuModuleLoadData(&its, module_text()));
    OK(cuModuleGetFunction(&f, its, "affine"));
    void *parameters[] = {&at, &at, &words};
    for (int i = 0; i < 20; i++) OK(cuLaunchKernel(f, words / 64, 1, 1, 64, 1, 1, 0, 0, parameters, NULL));
    OK(cuMemsetD32Async(at, value, words, 0));
    OK(cuCtxPopCurrent(&context));
    OK(cuMemMap(at + 4 * MIB, 4 * MIB, 0, handle, 0));
    OK(cuMemcpyDtoH(&got, at + 4 * MIB + 4 * (words - 1), 4));
    IS(value, got);
    OK(cuMemUnmap(at, 4 * MIB));
    OK(cuMemUnmap(at + 4 * MIB, 4 * MIB));
    OK(cuMemRelease(handle));
    OK(cuMemAddressFree(at, 8 * MIB));
    OK(cuCtxDestroy(context));
}

static u64 kept_at, kept_handle, kept_pool, pool_memory, pool_stream;
static u32 kept_words[N], pool_words[N];

KEPT(reserved_place_with_memory, "cuMemMap cuMemAddressReserve cuMemCreate")
{
    kept_at = place(4 * MIB);
    kept_handle = physical(2 * MIB);
    OK(cuMemMap(kept_at + 2 * MIB, 2 * MIB, 0, kept_handle, 0));
    OK(cuMemSetAccess(kept_at + 2 * MIB, 2 * MIB, everything, 1));
    fill_random(kept_words, sizeof kept_words);
    OK(cuMemcpyHtoD(kept_at + 2 * MIB, kept_words, sizeof kept_words));
}
FOUND(reserved_place_with_memory)
{
    words_are(kept_at + 2 * MIB, kept_words, N);
    OK(cuMemUnmap(kept_at + 2 * MIB, 2 * MIB));
    OK(cuMemMap(kept_at, 2 * MIB, 0, kept_handle, 0));
    words_are(kept_at, kept_words, N);
    OK(cuMemUnmap(kept_at, 2 * MIB));
    OK(cuMemRelease(kept_handle));
    OK(cuMemAddressFree(kept_at, 4 * MIB));
}

KEPT(pool_of_the_program, "cuMemPoolCreate cuMemPoolDestroy cuMemPoolSetAccess cuMemAllocFromPoolAsync cuMemFreeAsync cuMemPoolGetAttribute cuMemPoolSetAttribute cuDeviceSetMemPool")
{
    int properties[22] = {1, 0, 1, device}, shut[] = {1, device, 0};
    u64 used = 7, own, now, p = 0, threshold = 99 * MIB;
    OK(cuMemPoolCreate(&kept_pool, properties));
    OK(cuDeviceGetDefaultMemPool(&own, device));
    TRUE(kept_pool != own);
    IS(1, cuMemPoolDestroy(own));
    OK(cuMemPoolSetAccess(kept_pool, everything, 1));
    IS(101, cuMemPoolSetAccess(kept_pool, shut, 1));
    OK(cuMemPoolSetAttribute(kept_pool, 4, &threshold));
    OK(cuStreamCreate(&pool_stream, 1));
    OK(cuMemAllocFromPoolAsync(&pool_memory, 4 * MIB, kept_pool, pool_stream));
    OK(cuDeviceSetMemPool(device, kept_pool));
    OK(cuDeviceGetMemPool(&now, device));
    IS(kept_pool, now);
    OK(cuMemAllocAsync(&p, MIB, pool_stream));
    OK(cuMemPoolGetAttribute(kept_pool, 7, &used));
    IS(5 * MIB, used);
    OK(cuMemFreeAsync(p, pool_stream));
    OK(cuMemPoolGetAttribute(kept_pool, 7, &used));
    IS(4 * MIB, used);
    OK(cuMemPoolGetAttribute(kept_pool, 8, &used));
    IS(5 * MIB, used);
    used = 0;
    OK(cuMemPoolSetAttribute(kept_pool, 8, &used));
    OK(cuMemPoolGetAttribute(kept_pool, 8, &used));
    IS(4 * MIB, used);
    OK(cuMemPoolGetAttribute(kept_pool, 5, &used));
    TRUE(used >= 4 * MIB);
    OK(cuDeviceSetMemPool(device, own));
    fill_random(pool_words, sizeof pool_words);
    OK(cuMemcpyHtoD(pool_memory, pool_words, sizeof pool_words));
    properties[1] = 2; // no file descriptors
    IS(801, cuMemPoolCreate(&p, properties));
}
FOUND(pool_of_the_program)
{
    u64 used = 0, threshold = 0;
    OK(cuMemPoolGetAttribute(kept_pool, 7, &used));
    IS(4 * MIB, used);
    OK(cuMemPoolGetAttribute(kept_pool, 4, &threshold));
    IS(99 * MIB, threshold);
    words_are(pool_memory, pool_words, N);
    OK(cuMemFreeAsync(pool_memory, pool_stream));
    OK(cuMemPoolDestroy(kept_pool));
    IS(1, cuMemPoolGetAttribute(kept_pool, 7, &used));
    OK(cuStreamDestroy(pool_stream));
}

static u64 memory_exec, memory_out, memory_graph;
static u32 memory_value;

KEPT(memory_of_a_graph, "cuGraphAddMemAllocNode cuGraphAddMemFreeNode cuGraphMemAllocNodeGetParams cuGraphMemFreeNodeGetParams cuDeviceGetGraphMemAttribute cuDeviceSetGraphMemAttribute cuDeviceGraphMemTrim")
{
    u64 node[4] = {0}, freed = 0, before = 7, used = 7, none = 0;
    alloc_node alloc = {.type = 1, .location_type = 1, .location = device, .bytes = MIB}, found = {0};
    memory_value = random_u32();
    OK(cuDeviceGetGraphMemAttribute(device, 0, &before));
    OK(cuGraphCreate(&memory_graph, 0));
    OK(cuGraphAddMemAllocNode(&node[0], memory_graph, NULL, 0, &alloc));
    TRUE(alloc.address != 0);
    OK(cuDeviceGetGraphMemAttribute(device, 0, &used));
    IS(before + MIB, used);
    OK(cuDeviceSetGraphMemAttribute(device, 1, &none));
    OK(cuDeviceGetGraphMemAttribute(device, 1, &used));
    IS(before + MIB, used);
    used = 5;
    IS(1, cuDeviceSetGraphMemAttribute(device, 1, &used));
    memory_out = device_words(NULL, 1);
    memset_node fill = {.dst = alloc.address, .value = memory_value, .element = 4, .width = 1, .height = 1};
    CUDA_MEMCPY3D copy = {.srcMemoryType = 2, .srcDevice = alloc.address, .dstMemoryType = 2, .dstDevice = memory_out, .WidthInBytes = 4, .Height = 1, .Depth = 1};
    OK(cuGraphAddMemsetNode(&node[1], memory_graph, &node[0], 1, &fill, primary_context));
    OK(cuGraphAddMemcpyNode(&node[2], memory_graph, &node[1], 1, &copy, primary_context));
    OK(cuGraphAddMemFreeNode(&node[3], memory_graph, &node[2], 1, alloc.address));
    OK(cuGraphMemAllocNodeGetParams(node[0], &found));
    TRUE(found.bytes == MIB && found.address == alloc.address);
    OK(cuGraphMemFreeNodeGetParams(node[3], &freed));
    IS(alloc.address, freed);
    IS(1, cuGraphMemFreeNodeGetParams(node[0], &freed));
    OK(cuGraphInstantiate(&memory_exec, memory_graph, NULL, NULL, 0));
    OK(cuDeviceGraphMemTrim(device));
    IS(101, cuDeviceGraphMemTrim(63));
}
FOUND(memory_of_a_graph)
{
    u64 before = 0, after = 0;
    OK(cuDeviceGetGraphMemAttribute(device, 0, &before));
    OK(cuGraphLaunch(memory_exec, 0));
    OK(cuCtxSynchronize());
    words_are(memory_out, &memory_value, 1);
    OK(cuGraphExecDestroy(memory_exec));
    OK(cuGraphDestroy(memory_graph));
    OK(cuDeviceGetGraphMemAttribute(device, 0, &after));
    IS(before - MIB, after);
}

CASE(allocation_in_a_capture, "cuMemAllocAsync cuMemFreeAsync")
{
    u64 stream = 0, graph = 0, exec = 0, p = 0, out = device_words(NULL, 1);
    u32 value = random_u32();
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamBeginCapture(stream, 0));
    OK(cuMemAllocAsync(&p, 4096, stream));
    OK(cuMemsetD32Async(p, value, 1, stream));
    OK(cuMemcpyDtoDAsync(out, p, 4, stream));
    OK(cuMemFreeAsync(p, stream));
    OK(cuStreamEndCapture(stream, &graph));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuGraphLaunch(exec, stream));
    OK(cuStreamSynchronize(stream));
    words_are(out, &value, 1);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(out));
}

// Memory that the graph allocates and the program frees: the next launch allocates it again.
CASE(memory_of_a_graph_freed_by_the_program, "cuGraphAddMemAllocNode cuMemFree cuMemFreeAsync")
{
    u64 graph = 0, exec = 0, node[2], previous;
    u32 value = random_u32();
    alloc_node alloc = {.type = 1, .location_type = 1, .location = device, .bytes = 4096};
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphAddMemAllocNode(&node[0], graph, NULL, 0, &alloc));
    memset_node set = {.dst = alloc.address, .value = value, .element = 4, .width = 8, .height = 1};
    previous = node[0];
    OK(cuGraphAddMemsetNode(&node[1], graph, &previous, 1, &set, primary_context));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    for (int i = 0; i < 3; i++) {
        OK(cuGraphLaunch(exec, 0));
        OK(cuCtxSynchronize());
        words_are(alloc.address, &value, 1);
        if (i == 1) OK(cuMemFreeAsync(alloc.address, 0));
        else OK(cuMemFree(alloc.address));
    }
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
}

CASE(whose_stream_it_is, "cuStreamGetCtx cuStreamGetId")
{
    u64 stream = 0, other = 0, context = 0, ids[3] = {0};
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamCreateWithPriority(&other, 1, 0));
    OK(cuStreamGetCtx(stream, &context));
    IS(primary_context, context);
    context = 0;
    OK(cuStreamGetCtx(0, &context));
    IS(primary_context, context);
    OK(cuStreamGetId(stream, &ids[0]));
    OK(cuStreamGetId(other, &ids[1]));
    OK(cuStreamGetId(0, &ids[2]));
    TRUE(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    OK(cuStreamDestroy(stream));
    IS(400, cuStreamGetCtx(stream, &context));
    OK(cuStreamDestroy(other));
}

CASE(managed_memory_of_a_stream, "cuStreamAttachMemAsync")
{
    u64 stream = 0, p = 0, q = device_words(NULL, 1);
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemAllocManaged(&p, 4096, 1));
    OK(cuStreamAttachMemAsync(stream, p, 0, 4));
    OK(cuStreamAttachMemAsync(stream, p, 4096, 1));
    IS(1, cuStreamAttachMemAsync(stream, q, 0, 4));
    IS(1, cuStreamAttachMemAsync(stream, p, 0, 3));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
    OK(cuStreamDestroy(stream));
}
