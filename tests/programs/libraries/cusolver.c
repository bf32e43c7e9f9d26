// cuSOLVER: LU and Cholesky solve a system of known answer; QR gives the triangle whose product with itself is A'A; SVD gives singular values of a matrix made from known ones.
#include "check.h"

typedef void* Handle;
extern int cusolverDnCreate(Handle*);
extern int cusolverDnDestroy(Handle);
extern int cusolverDnDgetrf_bufferSize(Handle, int, int, double*, int, int*);
extern int cusolverDnDgetrf(Handle, int, int, double*, int, double*, int*, int*);
extern int cusolverDnDgetrs(Handle, int, int, int, const double*, int, const int*, double*, int, int*);
extern int cusolverDnSpotrf_bufferSize(Handle, int, int, float*, int, int*);
extern int cusolverDnSpotrf(Handle, int, int, float*, int, float*, int, int*);
extern int cusolverDnSpotrs(Handle, int, int, int, const float*, int, float*, int, int*);
extern int cusolverDnDgeqrf_bufferSize(Handle, int, int, double*, int, int*);
extern int cusolverDnDgeqrf(Handle, int, int, double*, int, double*, double*, int, int*);
extern int cusolverDnDgesvd_bufferSize(Handle, int, int, int*);
extern int cusolverDnDgesvd(Handle, signed char, signed char, int, int, double*, int, double*, double*, int, double*, int, double*, int, double*, int*);

static void lu(Handle h, int n) {
    double *a = (double*)malloc(8 * n * n), *x = (double*)malloc(8 * n), *b = (double*)calloc(n, 8);
    int size = 0, info = -1;
    for (int i = 0; i < n * n; i++) a[i] = noise();
    for (int i = 0; i < n; i++) x[i] = noise();
    for (int j = 0; j < n; j++) for (int i = 0; i < n; i++) b[i] += a[j * n + i] * x[j];
    double *da = device(a, 8 * n * n), *db = device(b, 8 * n);
    int *pivots = device(0, 4 * n), *dinfo = device(0, 4);
    OK(cusolverDnDgetrf_bufferSize(h, n, n, da, n, &size));
    double* work = device(0, 8 * size);
    OK(cusolverDnDgetrf(h, n, n, da, n, work, pivots, dinfo));
    OK(cusolverDnDgetrs(h, 0, n, 1, da, n, pivots, db, n, dinfo));
    fetch(&info, dinfo, 4);
    fetch(b, db, 8 * n);
    report("getrf and getrs", info ? 1e9 : largest(b, x, n), 1e-9);
}

static void cholesky(Handle h, int n) {
    float *a = (float*)malloc(4 * n * n), *b = (float*)calloc(n, 4);
    double *x = (double*)malloc(8 * n), *got = (double*)malloc(8 * n);
    int size = 0, info = -1;
    for (int i = 0; i < n; i++) for (int j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = (float)(i == j ? n : noise());
    for (int i = 0; i < n; i++) x[i] = (float)noise();
    for (int i = 0; i < n; i++) { double s = 0; for (int j = 0; j < n; j++) s += a[j * n + i] * x[j]; b[i] = (float)s; }
    float *da = device(a, 4 * n * n), *db = device(b, 4 * n);
    int* dinfo = device(0, 4);
    OK(cusolverDnSpotrf_bufferSize(h, 0, n, da, n, &size));
    float* work = device(0, 4 * size + 16);
    OK(cusolverDnSpotrf(h, 0, n, da, n, work, size, dinfo));
    OK(cusolverDnSpotrs(h, 0, n, 1, da, n, db, n, dinfo));
    fetch(&info, dinfo, 4);
    fetch(b, db, 4 * n);
    for (int i = 0; i < n; i++) got[i] = b[i];
    report("potrf and potrs", info ? 1e9 : largest(got, x, n), 1e-4);
}

static void qr(Handle h, int m, int n) {
    double *a = (double*)malloc(8 * m * n), *r = (double*)malloc(8 * m * n), worst = 0;
    int size = 0;
    for (int i = 0; i < m * n; i++) a[i] = noise();
    double *da = device(a, 8 * m * n), *tau = device(0, 8 * n);
    int* dinfo = device(0, 4);
    OK(cusolverDnDgeqrf_bufferSize(h, m, n, da, m, &size));
    double* work = device(0, 8 * size);
    OK(cusolverDnDgeqrf(h, m, n, da, m, tau, work, size, dinfo));
    fetch(r, da, 8 * m * n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double want = 0, got = 0;
            for (int k = 0; k < m; k++) want += a[i * m + k] * a[j * m + k];
            for (int k = 0; k <= (i < j ? i : j); k++) got += r[i * m + k] * r[j * m + k];
            if (!(fabs(want - got) <= worst)) worst = fabs(want - got);
        }
    report("geqrf", worst, 1e-11);
}

static void svd(Handle h, int n) { // a rotated diagonal: one Householder reflection from each side keeps its singular values
    double *a = (double*)calloc((size_t)n * n, 8), *u = (double*)malloc(8 * n), *v = (double*)malloc(8 * n), *want = (double*)malloc(8 * n), *got = (double*)malloc(8 * n), uu = 0, vv = 0;
    int size = 0, info = -1;
    for (int i = 0; i < n; i++) { u[i] = noise(); v[i] = noise(); uu += u[i] * u[i]; vv += v[i] * v[i]; want[i] = a[i * n + i] = n - i; }
    for (int j = 0; j < n; j++) { double s = 0; for (int i = 0; i < n; i++) s += u[i] * a[j * n + i]; for (int i = 0; i < n; i++) a[j * n + i] -= 2 * s / uu * u[i]; }
    for (int i = 0; i < n; i++) { double s = 0; for (int j = 0; j < n; j++) s += v[j] * a[j * n + i]; for (int j = 0; j < n; j++) a[j * n + i] -= 2 * s / vv * v[j]; }
    double *da = device(a, 8 * n * n), *ds = device(0, 8 * n), *du = device(0, 8 * n * n), *dv = device(0, 8 * n * n);
    int* dinfo = device(0, 4);
    OK(cusolverDnDgesvd_bufferSize(h, n, n, &size));
    double* work = device(0, 8 * size);
    OK(cusolverDnDgesvd(h, 'A', 'A', n, n, da, n, ds, du, n, dv, n, work, size, 0, dinfo));
    fetch(&info, dinfo, 4);
    fetch(got, ds, 8 * n);
    report("gesvd", info ? 1e9 : largest(got, want, n), 1e-10);
}

int main(void) {
    Handle h = 0;
    OK(cusolverDnCreate(&h));
    if (failures) return 1;
    lu(h, 90);
    cholesky(h, 70);
    qr(h, 60, 40);
    svd(h, 30);
    OK(cusolverDnDestroy(h));
    printf(failures ? "%d wrong\n" : "all right\n", failures);
    return failures != 0;
}
