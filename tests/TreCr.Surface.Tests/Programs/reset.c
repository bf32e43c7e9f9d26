// The end of a primary context: before the others begin, as it takes everything with it.
#include "surface.h"

static void begin(u64 *context, u64 *memory)
{
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(context, 0));
    OK(cuCtxSetCurrent(*context));
    OK(cuMemAlloc(memory, 4096));
}

static int is_active(void)
{
    u32 flags = 77;
    int active = 77;
    OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
    return active;
}

static void is_gone(u64 memory)
{
    int type = 77;
    IS(0, is_active());
    IS(1, cuPointerGetAttribute(&type, 2, memory));
}

EARLY(reset_ends_everything_in_the_context, "cuDevicePrimaryCtxReset cuDevicePrimaryCtxGetState")
{
    u64 context = 0, memory = 0, again = 0;
    begin(&context, &memory);
    OK(cuDevicePrimaryCtxRetain(&again, 0));
    IS(1, is_active());
    OK(cuDevicePrimaryCtxReset(0));
    is_gone(memory);
    IS(101, cuDevicePrimaryCtxReset(63));
}

EARLY(last_release_ends_the_context, "cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRetain")
{
    u64 context = 0, memory = 0, again = 0;
    begin(&context, &memory);
    OK(cuDevicePrimaryCtxRetain(&again, 0));
    OK(cuDevicePrimaryCtxRelease(0));
    IS(1, is_active());
    OK(cuDevicePrimaryCtxRelease(0));
    is_gone(memory);
    IS(201, cuDevicePrimaryCtxRelease(0));
}
