// cuRAND: the same seed must give, on the device, the numbers that the library's own host generator gives on the CPU; moments for those without one.
#include "check.h"

typedef void* Generator;
extern int curandCreateGenerator(Generator*, int);
extern int curandCreateGeneratorHost(Generator*, int);
extern int curandSetPseudoRandomGeneratorSeed(Generator, unsigned long long);
extern int curandGenerate(Generator, unsigned*, size_t);
extern int curandGenerateUniform(Generator, float*, size_t);
extern int curandGenerateNormal(Generator, float*, size_t, float, float);
extern int curandGenerateUniformDouble(Generator, double*, size_t);
extern int curandGeneratePoisson(Generator, unsigned*, size_t, double);
extern int curandDestroyGenerator(Generator);

static void kind(const char* name, int type, int pseudo) {
    enum { n = 20000 };
    static unsigned a[n], b[n];
    static float x[n], y[n];
    static double u[n], v[n];
    Generator on, off;
    char text[80];
    OK(curandCreateGenerator(&on, type));
    OK(curandCreateGeneratorHost(&off, type));
    if (pseudo) {
        OK(curandSetPseudoRandomGeneratorSeed(on, 99));
        OK(curandSetPseudoRandomGeneratorSeed(off, 99));
    }
    void* d = device(0, sizeof u);
    OK(curandGenerate(on, d, n));
    fetch(a, d, sizeof a);
    OK(curandGenerate(off, b, n));
    int different = 0;
    for (int i = 0; i < n; i++) different += a[i] != b[i];
    snprintf(text, sizeof text, "%s bits, %u", name, a[n - 1]);
    report(text, different, 0);
    OK(curandGenerateUniform(on, d, n));
    fetch(x, d, sizeof x);
    OK(curandGenerateUniform(off, y, n));
    double worst = 0;
    for (int i = 0; i < n; i++) worst = fmax(worst, fabs(x[i] - y[i]));
    snprintf(text, sizeof text, "%s uniform", name);
    report(text, worst, 0);
    OK(curandGenerateNormal(on, d, n, 1, 2));
    fetch(x, d, sizeof x);
    OK(curandGenerateNormal(off, y, n, 1, 2));
    worst = 0;
    for (int i = 0; i < n; i++) worst = fmax(worst, fabs(x[i] - y[i]));
    snprintf(text, sizeof text, "%s normal", name);
    report(text, worst, 1e-4);
    OK(curandGenerateUniformDouble(on, d, n));
    fetch(u, d, sizeof u);
    OK(curandGenerateUniformDouble(off, v, n));
    snprintf(text, sizeof text, "%s double", name);
    report(text, largest(u, v, n), 0);
    cudaFree(d);
    curandDestroyGenerator(on);
    curandDestroyGenerator(off);
}

int main(void) {
    kind("xorwow", 101, 1);
    kind("mrg32k3a", 121, 1);
    kind("philox", 161, 1);
    kind("mt19937", 142, 1);
    kind("sobol32", 201, 0);
    printf(failures ? "%d wrong\n" : "all right\n", failures);
    return failures != 0;
}
