// cuFFT against the transform's definition on the CPU: one, two and three dimensions, sizes with other factors than two, real input, double.
#include "check.h"

extern int cufftPlan1d(int*, int, int, int);
extern int cufftPlan2d(int*, int, int, int);
extern int cufftPlan3d(int*, int, int, int, int);
extern int cufftExecC2C(int, float*, float*, int);
extern int cufftExecZ2Z(int, double*, double*, int);
extern int cufftExecR2C(int, float*, float*);
extern int cufftDestroy(int);
enum { R2C = 0x2a, C2C = 0x29, Z2Z = 0x69 };

// One dimension of a complex array [before][n][after], in place.
static void transform(double* a, int before, int n, int after, int sign) {
    double* r = (double*)malloc(sizeof(double) * 2 * n);
    for (int p = 0; p < before; p++)
        for (int q = 0; q < after; q++) {
            for (int k = 0; k < n; k++) {
                double re = 0, im = 0;
                for (int j = 0; j < n; j++) {
                    double w = sign * 2 * M_PI * (double)((long long)j * k % n) / n, *x = a + 2 * (((size_t)p * n + j) * after + q);
                    re += x[0] * cos(w) - x[1] * sin(w);
                    im += x[0] * sin(w) + x[1] * cos(w);
                }
                r[2 * k] = re;
                r[2 * k + 1] = im;
            }
            for (int k = 0; k < n; k++) memcpy(a + 2 * (((size_t)p * n + k) * after + q), r + 2 * k, 2 * sizeof(double));
        }
    free(r);
}

static void complex_case(const char* name, int x, int y, int z, int batch, int wide) {
    size_t n = (size_t)x * y * z * batch;
    double *want = (double*)malloc(16 * n), *got = (double*)malloc(16 * n);
    float* single = (float*)malloc(8 * n);
    for (size_t i = 0; i < 2 * n; i++) single[i] = (float)(want[i] = (float)noise());
    void* d = device(wide ? (void*)want : (void*)single, (wide ? 16 : 8) * n);
    for (int b = 0; b < batch; b++) {
        double* a = want + 2 * (size_t)b * x * y * z;
        transform(a, 1, x, y * z, -1);
        if (y > 1) transform(a, x, y, z, -1);
        if (z > 1) transform(a, x * y, z, 1, -1);
    }
    int plan = 0, type = wide ? Z2Z : C2C;
    OK(z > 1 ? cufftPlan3d(&plan, x, y, z, type) : y > 1 ? cufftPlan2d(&plan, x, y, type) : cufftPlan1d(&plan, x, type, batch));
    if (wide) OK(cufftExecZ2Z(plan, d, d, -1));
    else OK(cufftExecC2C(plan, d, d, -1));
    fetch(wide ? (void*)got : (void*)single, d, (wide ? 16 : 8) * n);
    if (!wide) for (size_t i = 0; i < 2 * n; i++) got[i] = single[i];
    report(name, largest(got, want, 2 * n), (wide ? 1e-12 : 1e-4) * sqrt((double)n));
    OK(cufftDestroy(plan));
    cudaFree(d); free(want); free(got); free(single);
}

static void real_case(int n) {
    float *in = (float*)malloc(4 * n), *out = (float*)malloc(8 * (n / 2 + 1));
    double* want = (double*)malloc(16 * n);
    for (int i = 0; i < n; i++) { in[i] = (float)noise(); want[2 * i] = in[i]; want[2 * i + 1] = 0; }
    float *d = device(in, 4 * n), *e = device(0, 8 * (n / 2 + 1));
    int plan = 0;
    OK(cufftPlan1d(&plan, n, R2C, 1));
    OK(cufftExecR2C(plan, d, e));
    fetch(out, e, 8 * (n / 2 + 1));
    transform(want, 1, n, 1, -1);
    double worst = 0;
    for (int i = 0; i < 2 * (n / 2 + 1); i++) { double x = fabs(out[i] - want[i]); if (!(x <= worst)) worst = x; }
    report("r2c 1000", worst, 1e-3);
    OK(cufftDestroy(plan));
    cudaFree(d); cudaFree(e); free(in); free(out); free(want);
}

int main(void) {
    complex_case("c2c 256", 256, 1, 1, 1, 0);
    complex_case("c2c 1024, 3 at once", 1024, 1, 1, 3, 0);
    complex_case("c2c 105", 105, 1, 1, 2, 0);
    complex_case("c2c 127", 127, 1, 1, 1, 0);
    complex_case("c2c 2-D 32x48", 32, 48, 1, 1, 0);
    complex_case("c2c 3-D 8x10x12", 8, 10, 12, 1, 0);
    complex_case("z2z 243", 243, 1, 1, 1, 1);
    real_case(1000);
    printf(failures ? "%d wrong\n" : "all right\n", failures);
    return failures != 0;
}
