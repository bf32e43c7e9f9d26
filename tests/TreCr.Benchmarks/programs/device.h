// What the three sides of `bench device` share: sizes, inputs, and how a kernel is timed. Included by device.cu and device.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 1 << 22, WIDTH = 2048, HEIGHT = 1024, MATRIX = 512, BODIES = 4096, OPTIONS = 1 << 19, PIXELS = 768, ROUNDS = 200, BINS = 256, KERNELS = 8 };
static const char *const NAMES[KERNELS] = { "saxpy", "stencil", "reduce", "matmul", "nbody", "histogram", "blackscholes", "mandelbrot" };

static unsigned next(unsigned *s) { return *s = *s * 1664525u + 1013904223u; }
static float unit(unsigned *s) { return (float)(next(s) >> 8) * (1.0f / 16777216.0f); }

static float *floats(size_t n, unsigned seed) {
    float *p = (float *)malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++) p[i] = unit(&seed);
    return p;
}

static unsigned *numbers(size_t n, unsigned seed) {
    unsigned *p = (unsigned *)malloc(n * sizeof(unsigned));
    for (size_t i = 0; i < n; i++) p[i] = next(&seed) >> 8;
    return p;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

// Median nanoseconds of a launch and its end, after one that is not counted.
static void measure(const char *name, void (*launch)(int), int kernel) {
    double t[15], begin;
    int n = 0;
    launch(kernel);
    begin = now();
    while (n < 15 && (n < 5 || now() - begin < 3e8)) {
        double start = now();
        launch(kernel);
        t[n++] = now() - start;
    }
    qsort(t, (size_t)n, sizeof *t, ascending);
    printf("%s %.0f\n", name, t[n / 2]);
    fflush(stdout);
}

// The results, for the bench to compare: DIRECTORY/kernel, 32-bit floats.
static void keep(const char *directory, const char *name, const void *data, size_t bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, bytes, f) != bytes) { perror(path); exit(1); }
    fclose(f);
}
