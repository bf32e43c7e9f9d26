// cuInit and what the argument says.
#include "cudriver.h"
#include <unistd.h>

int main(int count, char **arguments)
{
    uint64_t p;
    printf("cuInit %d\n", CALL(cuInit, 0));
    if (count < 2) return 0;
    CALL(cuDevicePrimaryCtxRetain, &p, 0);
    CALL(cuCtxSetCurrent, p);
    if (!strcmp(arguments[1], "alloc"))
        for (int i = 0; i < 2; i++) printf("cuMemAlloc %d\n", CALL(cuMemAlloc_v2, &p, (uint64_t)16));
    if (!strcmp(arguments[1], "output"))
    {
        printf("before\n");
        CALL(cuCtxSynchronize);
        printf("after\n");
    }
    return 0;
}
