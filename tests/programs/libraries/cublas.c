// cuBLAS against loops on the CPU: levels 1 to 3 in four types, strided batches, half precision.
#include "check.h"

typedef void* Handle;
extern int cublasCreate_v2(Handle*);
extern int cublasDestroy_v2(Handle);
extern int cublasSaxpy_v2(Handle, int, const float*, const float*, int, float*, int);
extern int cublasDaxpy_v2(Handle, int, const double*, const double*, int, double*, int);
extern int cublasSdot_v2(Handle, int, const float*, int, const float*, int, float*);
extern int cublasDdot_v2(Handle, int, const double*, int, const double*, int, double*);
extern int cublasSnrm2_v2(Handle, int, const float*, int, float*);
extern int cublasIsamax_v2(Handle, int, const float*, int, int*);
extern int cublasSgemv_v2(Handle, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int);
extern int cublasDgemv_v2(Handle, int, int, int, const double*, const double*, int, const double*, int, const double*, double*, int);
extern int cublasSgemm_v2(Handle, int, int, int, int, int, const float*, const float*, int, const float*, int, const float*, float*, int);
extern int cublasDgemm_v2(Handle, int, int, int, int, int, const double*, const double*, int, const double*, int, const double*, double*, int);
extern int cublasZgemm_v2(Handle, int, int, int, int, int, const double*, const double*, int, const double*, int, const double*, double*, int);
extern int cublasSgemmStridedBatched(Handle, int, int, int, int, int, const float*, const float*, int, long long, const float*, int, long long, const float*, float*, int, long long, int);
extern int cublasStrsm_v2(Handle, int, int, int, int, int, int, const float*, const float*, int, float*, int);
extern int cublasHgemm(Handle, int, int, int, int, int, const uint16_t*, const uint16_t*, int, const uint16_t*, int, const uint16_t*, uint16_t*, int);

static uint16_t half(double v) { // values that are multiples of 1/8 below 16
    int sign = v < 0, n = (int)lrint(fabs(v) * 8);
    if (n == 0) return (uint16_t)(sign << 15);
    int e = 31 - __builtin_clz((unsigned)n);
    return (uint16_t)(sign << 15 | (e - 3 + 15) << 10 | (n << (10 - e) & 0x3ff));
}

static double from_half(uint16_t h) {
    int e = h >> 10 & 31, m = h & 0x3ff;
    double v = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    return h >> 15 ? -v : v;
}

#define VECTOR(T, name, n)                      \
    T* name = (T*)malloc((n) * sizeof(T));      \
    for (size_t i = 0; i < (size_t)(n); i++) name[i] = (T)noise()

static void gemm_single(Handle h, int m, int n, int k, int ta, int tb) {
    VECTOR(float, a, m * k);
    VECTOR(float, b, k * n);
    VECTOR(float, c, m * n);
    float alpha = 1.25f, beta = -0.5f;
    double* want = (double*)malloc(sizeof(double) * m * n);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double s = 0;
            for (int x = 0; x < k; x++) s += (double)(ta ? a[i * k + x] : a[x * m + i]) * (tb ? b[x * n + j] : b[j * k + x]);
            want[j * m + i] = alpha * s + beta * c[j * m + i];
        }
    float *da = device(a, sizeof(float) * m * k), *db = device(b, sizeof(float) * k * n), *dc = device(c, sizeof(float) * m * n);
    OK(cublasSgemm_v2(h, ta, tb, m, n, k, &alpha, da, ta ? k : m, db, tb ? n : k, &beta, dc, m));
    fetch(c, dc, sizeof(float) * m * n);
    double d = 0;
    for (int i = 0; i < m * n; i++) { double e = fabs(c[i] - want[i]); if (!(e <= d)) d = e; }
    char name[80];
    snprintf(name, sizeof name, "sgemm %dx%dx%d %c%c", m, n, k, ta ? 'T' : 'N', tb ? 'T' : 'N');
    report(name, d, 1e-5 * k);
    cudaFree(da); cudaFree(db); cudaFree(dc); free(a); free(b); free(c); free(want);
}

static void gemm_double(Handle h, int m, int n, int k, int parts) { // parts 2: complex
    VECTOR(double, a, m * k * parts);
    VECTOR(double, b, k * n * parts);
    VECTOR(double, c, m * n * parts);
    double alpha[2] = {1.5, 0.25}, beta[2] = {0.75, -0.5};
    if (parts == 1) alpha[1] = beta[1] = 0;
    double* want = (double*)malloc(sizeof(double) * m * n * parts);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double re = 0, im = 0;
            for (int x = 0; x < k; x++) {
                double ar = a[(x * m + i) * parts], ai = parts == 2 ? a[(x * m + i) * 2 + 1] : 0, br = b[(j * k + x) * parts], bi = parts == 2 ? b[(j * k + x) * 2 + 1] : 0;
                re += ar * br - ai * bi;
                im += ar * bi + ai * br;
            }
            double cr = c[(j * m + i) * parts], ci = parts == 2 ? c[(j * m + i) * 2 + 1] : 0;
            want[(j * m + i) * parts] = alpha[0] * re - alpha[1] * im + beta[0] * cr - beta[1] * ci;
            if (parts == 2) want[(j * m + i) * 2 + 1] = alpha[0] * im + alpha[1] * re + beta[0] * ci + beta[1] * cr;
        }
    size_t e = sizeof(double) * parts;
    double *da = device(a, e * m * k), *db = device(b, e * k * n), *dc = device(c, e * m * n);
    if (parts == 2) OK(cublasZgemm_v2(h, 0, 0, m, n, k, alpha, da, m, db, k, beta, dc, m));
    else OK(cublasDgemm_v2(h, 0, 0, m, n, k, alpha, da, m, db, k, beta, dc, m));
    fetch(c, dc, e * m * n);
    char name[80];
    snprintf(name, sizeof name, "%cgemm %dx%dx%d", parts == 2 ? 'z' : 'd', m, n, k);
    report(name, largest(c, want, (size_t)m * n * parts), 1e-13 * k);
    cudaFree(da); cudaFree(db); cudaFree(dc); free(a); free(b); free(c); free(want);
}

static void level1(Handle h, int n) {
    VECTOR(float, x, n);
    VECTOR(float, y, n);
    float *dx = device(x, 4 * n), *dy = device(y, 4 * n), alpha = 0.75f, got = 0;
    double dot = 0, square = 0, d = 0;
    int place = 0, at = 0;
    for (int i = 0; i < n; i++) { dot += (double)x[i] * y[i]; square += (double)x[i] * x[i]; if (fabsf(x[i]) > fabsf(x[at])) at = i; }
    OK(cublasSdot_v2(h, n, dx, 1, dy, 1, &got));
    report("sdot", fabs(got - dot), 1e-4);
    OK(cublasSnrm2_v2(h, n, dx, 1, &got));
    report("snrm2", fabs(got - sqrt(square)), 1e-4);
    OK(cublasIsamax_v2(h, n, dx, 1, &place));
    report("isamax", abs(place - 1 - at), 0);
    OK(cublasSaxpy_v2(h, n, &alpha, dx, 1, dy, 1));
    float* r = (float*)malloc(4 * n);
    fetch(r, dy, 4 * n);
    for (int i = 0; i < n; i++) { double e = fabs(r[i] - (double)(alpha * x[i] + y[i])); if (!(e <= d)) d = e; }
    report("saxpy", d, 1e-6);
    cudaFree(dx); cudaFree(dy); free(x); free(y); free(r);
}

static void gemv(Handle h, int m, int n, int t) {
    VECTOR(float, a, m * n);
    VECTOR(float, x, m + n);
    VECTOR(float, y, m + n);
    float alpha = 2, beta = 0.5f, *da = device(a, 4 * m * n), *dx = device(x, 4 * (m + n)), *dy = device(y, 4 * (m + n));
    OK(cublasSgemv_v2(h, t, m, n, &alpha, da, m, dx, 1, &beta, dy, 1));
    float* r = (float*)malloc(4 * (m + n));
    fetch(r, dy, 4 * (m + n));
    double d = 0;
    for (int i = 0; i < (t ? n : m); i++) {
        double s = 0;
        for (int j = 0; j < (t ? m : n); j++) s += (double)(t ? a[i * m + j] : a[j * m + i]) * x[j];
        double e = fabs(r[i] - (alpha * s + beta * y[i]));
        if (!(e <= d)) d = e;
    }
    report(t ? "sgemv T" : "sgemv N", d, 1e-3);
    cudaFree(da); cudaFree(dx); cudaFree(dy); free(a); free(x); free(y); free(r);
}

static void trsm(Handle h, int m, int n) { // lower triangle times X = B
    VECTOR(float, a, m * m);
    VECTOR(float, x, m * n);
    for (int i = 0; i < m; i++) a[i * m + i] = 4 + fabsf(a[i * m + i]);
    for (int i = 0; i < m * m; i++) if (i % m != i / m) a[i] /= (float)m;
    float *b = (float*)calloc((size_t)m * n, 4), one = 1;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double s = 0;
            for (int k = 0; k <= i; k++) s += (double)a[k * m + i] * x[j * m + k];
            b[j * m + i] = (float)s;
        }
    float *da = device(a, 4 * m * m), *db = device(b, 4 * m * n);
    OK(cublasStrsm_v2(h, 0, 0, 0, 0, m, n, &one, da, m, db, m));
    fetch(b, db, 4 * m * n);
    double d = 0;
    for (int i = 0; i < m * n; i++) { double e = fabs(b[i] - x[i]); if (!(e <= d)) d = e; }
    report("strsm", d, 1e-4);
    cudaFree(da); cudaFree(db); free(a); free(x); free(b);
}

static void batched(Handle h, int n, int count) {
    VECTOR(float, a, n * n * count);
    VECTOR(float, b, n * n * count);
    float *c = (float*)calloc((size_t)n * n * count, 4), one = 1, zero = 0;
    size_t bytes = sizeof(float) * n * n * count;
    float *da = device(a, bytes), *db = device(b, bytes), *dc = device(0, bytes);
    OK(cublasSgemmStridedBatched(h, 0, 0, n, n, n, &one, da, n, n * n, db, n, n * n, &zero, dc, n, n * n, count));
    fetch(c, dc, bytes);
    double d = 0;
    for (int q = 0; q < count; q++)
        for (int j = 0; j < n; j++)
            for (int i = 0; i < n; i++) {
                double s = 0;
                for (int k = 0; k < n; k++) s += (double)a[q * n * n + k * n + i] * b[q * n * n + j * n + k];
                double e = fabs(c[q * n * n + j * n + i] - s);
                if (!(e <= d)) d = e;
            }
    report("sgemm strided batched", d, 1e-4);
    cudaFree(da); cudaFree(db); cudaFree(dc); free(a); free(b); free(c);
}

static void gemm_half(Handle h, int m, int n, int k) {
    uint16_t *a = (uint16_t*)malloc(2 * m * k), *b = (uint16_t*)malloc(2 * k * n), *c = (uint16_t*)calloc((size_t)m * n, 2), one = 0x3c00, zero = 0;
    for (int i = 0; i < m * k; i++) a[i] = half(rint(noise() * 8) / 8);
    for (int i = 0; i < k * n; i++) b[i] = half(rint(noise() * 8) / 8);
    uint16_t *da = device(a, 2 * m * k), *db = device(b, 2 * k * n), *dc = device(c, 2 * m * n);
    OK(cublasHgemm(h, 0, 0, m, n, k, &one, da, m, db, k, &zero, dc, m));
    fetch(c, dc, 2 * m * n);
    double d = 0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double s = 0;
            for (int x = 0; x < k; x++) s += from_half(a[x * m + i]) * from_half(b[j * k + x]);
            double e = fabs(from_half(c[j * m + i]) - s);
            if (!(e <= d)) d = e;
        }
    report("hgemm", d, 0.02);
    cudaFree(da); cudaFree(db); cudaFree(dc); free(a); free(b); free(c);
}

int main(void) {
    Handle h = 0;
    OK(cublasCreate_v2(&h));
    if (failures) return 1;
    level1(h, 10007);
    gemv(h, 300, 200, 0);
    gemv(h, 300, 200, 1);
    gemm_single(h, 64, 64, 64, 0, 0);
    gemm_single(h, 129, 65, 33, 0, 1);
    gemm_single(h, 100, 130, 70, 1, 0);
    gemm_double(h, 65, 70, 50, 1);
    gemm_double(h, 40, 33, 20, 2);
    batched(h, 24, 10);
    trsm(h, 70, 40);
    gemm_half(h, 64, 48, 32);
    OK(cublasDestroy_v2(h));
    printf(failures ? "%d wrong\n" : "all right\n", failures);
    return failures != 0;
}
