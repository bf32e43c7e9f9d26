// What the library programs share: the few declarations of libcudart that they use, and comparison with a CPU reference.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int cudaMalloc(void** p, size_t bytes);
extern int cudaFree(void* p);
extern int cudaMemcpy(void* to, const void* from, size_t bytes, int kind);
extern int cudaMemset(void* p, int v, size_t bytes);
extern int cudaDeviceSynchronize(void);

static int failures;

#define OK(call)                                                                                   \
    do {                                                                                           \
        int status = (int)(call);                                                                  \
        if (status != 0) {                                                                         \
            printf("FAIL %s: %d\n", #call, status);                                                \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static void* device(const void* from, size_t bytes) {
    void* p = 0;
    OK(cudaMalloc(&p, bytes));
    if (from) OK(cudaMemcpy(p, from, bytes, 1));
    else OK(cudaMemset(p, 0, bytes));
    return p;
}

static void fetch(void* to, const void* from, size_t bytes) {
    OK(cudaDeviceSynchronize());
    OK(cudaMemcpy(to, from, bytes, 2));
}

static uint32_t state = 12345;
static double noise(void) {
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 24) * 2 - 1;
}

// Prints one line a case; the largest difference against the bound.
static void report(const char* name, double difference, double bound) {
    int good = difference <= bound;
    if (!good) failures++;
    printf("%s %s: %.3g (bound %.3g)\n", good ? "ok" : "FAIL", name, difference, bound);
    fflush(stdout);
}

static double largest(const double* a, const double* b, size_t n) {
    double d = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs(a[i] - b[i]);
        if (!(e <= d)) d = e;
    }
    return d;
}
