// OpenACC compute regions inside one data region.
#include <openacc.h>
#include "mark.h"

enum { N = 4096 };
static int a[N], b[N];

int main(void)
{
    int on_device = -1, bad = 0;
    long long sum = 0, expected = 0;
    begin();
    for (int i = 0; i < N; i++) a[i] = i ^ nonce[i % 32];
    #pragma acc parallel copyout(on_device)
    on_device = acc_on_device(acc_device_not_host);
    if (wrong("region on the device", on_device, 1)) return 1;
    #pragma acc data copyin(a) copyout(b)
    {
        #pragma acc parallel loop
        for (int i = 0; i < N; i++) b[i] = a[i] * 2 + 1;
        wait_for_release();
        #pragma acc parallel loop
        for (int i = 0; i < N; i++) b[i] += a[i];
        #pragma acc parallel loop reduction(+: sum)
        for (int i = 0; i < N; i++) sum += b[i];
    }
    for (int i = 0; i < N; i++) {
        expected += a[i] * 3 + 1;
        bad += b[i] != a[i] * 3 + 1;
    }
    if (wrong("wrong elements", bad, 0) | wrong("sum", sum, expected)) return 1;
    mark("end");
    return 0;
}
