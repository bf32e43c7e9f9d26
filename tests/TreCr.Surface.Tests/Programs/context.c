// Contexts: primary and created, the stack, settings.
#include "surface.h"
#include <pthread.h>

static u64 current(void) { u64 c = 7; OK(cuCtxGetCurrent(&c)); return c; }

static void *on_another_thread(void *unused)
{
    u64 c = 7;
    int result = cuCtxGetCurrent(&c), d;
    return (void *)(size_t)(result == 0 && c == 0 && cuCtxGetDevice(&d) == 201);
}

CASE(a_new_thread_has_no_context, "cuCtxGetCurrent cuCtxGetDevice")
{
    pthread_t t;
    void *well = NULL;
    int d = -1;
    IS(0, pthread_create(&t, NULL, on_another_thread, NULL));
    IS(0, pthread_join(t, &well));
    TRUE(well != NULL);
    IS(primary_context, current());
    OK(cuCtxGetDevice(&d));
    IS(device, d);
}

CASE(push_and_pop, "cuCtxPushCurrent cuCtxPopCurrent cuCtxGetCurrent cuCtxSetCurrent cuCtxCreate cuCtxDestroy")
{
    u64 own = 0, popped = 0;
    OK(cuCtxCreate(&own, 0, device));
    TRUE(own != 0 && own != primary_context);
    IS(own, current());
    OK(cuCtxPushCurrent(primary_context));
    IS(primary_context, current());
    OK(cuCtxPopCurrent(&popped));
    IS(primary_context, popped);
    IS(own, current());
    OK(cuCtxSetCurrent(primary_context));
    IS(primary_context, current());
    OK(cuCtxPopCurrent(&popped));
    IS(primary_context, popped);
    IS(primary_context, current());
    OK(cuCtxPushCurrent(own));
    OK(cuCtxDestroy(own));
    IS(primary_context, current());
    IS(201, cuCtxDestroy(own));
    IS(201, cuCtxPushCurrent(own));
}

static u64 kept_context, kept_id;
static u64 kept_memory;
static u32 kept_words[32];

KEPT(created_context_with_memory, "cuCtxCreate cuCtxGetFlags cuCtxGetId cuCtxGetApiVersion")
{
    u32 flags = 77, version = 77;
    u64 id = 0;
    fill_random(kept_words, sizeof kept_words);
    OK(cuCtxCreate(&kept_context, 4, device));
    OK(cuCtxGetFlags(&flags));
    IS(4, flags);
    OK(cuCtxGetId(kept_context, &kept_id));
    OK(cuCtxGetId(primary_context, &id));
    TRUE(kept_id != 0 && id != kept_id);
    OK(cuCtxGetApiVersion(kept_context, &version));
    IS(3020, version);
    IS(201, cuCtxGetApiVersion(0x1234, &version));
    kept_memory = device_words(kept_words, 32);
    u64 popped;
    OK(cuCtxPopCurrent(&popped));
}
FOUND(created_context_with_memory)
{
    u32 flags = 77;
    u64 id = 0, popped;
    OK(cuCtxPushCurrent(kept_context));
    OK(cuCtxGetFlags(&flags));
    IS(4, flags);
    OK(cuCtxGetId(0, &id));
    IS(kept_id, id);
    words_are(kept_memory, kept_words, 32);
    OK(cuMemFree(kept_memory));
    OK(cuCtxPopCurrent(&popped));
    OK(cuCtxDestroy(kept_context));
}

KEPT(primary_context_is_counted, "cuDevicePrimaryCtxRetain cuDevicePrimaryCtxRelease cuDevicePrimaryCtxGetState")
{
    u64 again = 0;
    u32 flags = 77;
    int active = 77;
    OK(cuDevicePrimaryCtxRetain(&again, device));
    IS(primary_context, again);
    OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    IS(1, active);
}
FOUND(primary_context_is_counted)
{
    u64 p = 0;
    u32 flags = 77;
    int active = 77;
    OK(cuDevicePrimaryCtxRelease(device));
    OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    IS(1, active);
    OK(cuMemAlloc(&p, 64));
    OK(cuMemFree(p));
    // The count is that of retains: a second device slot would not be there, and the last release is main's.
    IS(101, cuDevicePrimaryCtxRelease(63));
    IS(101, cuDevicePrimaryCtxRetain(&p, 63));
}

KEPT(primary_context_flags, "cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxGetState")
{
    u32 flags = 77;
    int active = 77;
    OK(cuDevicePrimaryCtxSetFlags(device, 4));
    OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    IS(4, flags);
    IS(1, cuDevicePrimaryCtxSetFlags(device, 0x80000));
}
FOUND(primary_context_flags)
{
    u32 flags = 77;
    int active = 77;
    OK(cuDevicePrimaryCtxGetState(device, &flags, &active));
    IS(4, flags);
    OK(cuDevicePrimaryCtxSetFlags(device, 0));
}

KEPT(limits, "cuCtxSetLimit cuCtxGetLimit")
{
    size_t value = 0;
    OK(cuCtxGetLimit(&value, 0));
    TRUE(value >= 512);
    OK(cuCtxSetLimit(0, 3072));
    OK(cuCtxGetLimit(&value, 0));
    IS(3072, value);
    IS(215, cuCtxGetLimit(&value, 99));
}
FOUND(limits)
{
    size_t value = 0;
    OK(cuCtxGetLimit(&value, 0));
    IS(3072, value);
    OK(cuCtxSetLimit(0, 1024));
}

KEPT(cache_and_bank_configuration, "cuCtxSetCacheConfig cuCtxGetCacheConfig cuCtxSetSharedMemConfig cuCtxGetSharedMemConfig")
{
    int config = 77;
    OK(cuCtxSetCacheConfig(2));
    OK(cuCtxGetCacheConfig(&config));
    IS(2, config);
    config = 77;
    OK(cuCtxSetSharedMemConfig(2));
    OK(cuCtxGetSharedMemConfig(&config));
    IS(2, config);
}
FOUND(cache_and_bank_configuration)
{
    int config = 77;
    OK(cuCtxGetCacheConfig(&config));
    IS(2, config);
    config = 77;
    OK(cuCtxGetSharedMemConfig(&config));
    IS(2, config);
    OK(cuCtxSetCacheConfig(0));
    OK(cuCtxSetSharedMemConfig(0));
}

CASE(stream_priorities, "cuCtxGetStreamPriorityRange")
{
    int least = 77, greatest = 77;
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    IS(0, least);
    TRUE(greatest <= 0 && greatest > -100);
}

CASE(hints_need_a_context, "cuCtxResetPersistingL2Cache cuCtxPopCurrent cuCtxPushCurrent")
{
    u64 c = 0;
    OK(cuCtxResetPersistingL2Cache());
    OK(cuCtxPopCurrent(&c));
    IS(primary_context, c);
    int result = cuCtxResetPersistingL2Cache();
    OK(cuCtxPushCurrent(c));
    IS(201, result);
}

CASE(context_waits_for_its_streams, "cuCtxSynchronize")
{
    u32 *flag = NULL, *out, value = random_u32();
    u64 stream = 0, f = function("gate");
    OK(cuMemHostAlloc((void **)&flag, 8, 0));
    out = flag + 1;
    flag[0] = flag[1] = 0;
    OK(cuStreamCreate(&stream, 1));
    void *parameters[] = {&flag, &out, &value};
    for (int i = 0; i < 20; i++) {
        OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL));
        run_affine((u64)out, (u64)out, 1, stream);
    }
    __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
    OK(cuCtxSynchronize());
    IS(value * factor + term, *out);
    OK(cuStreamDestroy(stream));
    OK(cuMemFreeHost(flag));
}
