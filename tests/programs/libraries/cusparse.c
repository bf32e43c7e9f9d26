// cuSPARSE: a matrix in CSR form times a vector and times a matrix, single and double, against loops on the CPU.
#include "check.h"

typedef void* Handle;
extern int cusparseCreate(Handle*);
extern int cusparseDestroy(Handle);
extern int cusparseCreateCsr(void**, int64_t, int64_t, int64_t, void*, void*, void*, int, int, int, int);
extern int cusparseCreateDnVec(void**, int64_t, void*, int);
extern int cusparseCreateDnMat(void**, int64_t, int64_t, int64_t, void*, int, int);
extern int cusparseSpMV_bufferSize(Handle, int, const void*, void*, void*, const void*, void*, int, int, size_t*);
extern int cusparseSpMV(Handle, int, const void*, void*, void*, const void*, void*, int, int, void*);
extern int cusparseSpMM_bufferSize(Handle, int, int, const void*, void*, void*, const void*, void*, int, int, size_t*);
extern int cusparseSpMM(Handle, int, int, const void*, void*, void*, const void*, void*, int, int, void*);
enum { F32 = 0, F64 = 1, I32 = 2, ColumnMajor = 1 };

static void run(Handle h, int rows, int columns, int wide, int vectors) {
    int *starts = (int*)malloc(4 * (rows + 1)), *column = (int*)malloc(4 * rows * 12), count = 0;
    double* value = (double*)malloc(8 * rows * 12);
    for (int r = 0; r < rows; r++) {
        starts[r] = count;
        int n = (r * 7 + 3) % 12, at = r % 5; // rows of different length, some empty
        for (int k = 0; k < n && at < columns; k++, at += 1 + (r + k) % 9) {
            column[count] = at;
            value[count++] = (float)noise();
        }
    }
    starts[rows] = count;
    size_t e = wide ? 8 : 4;
    double *x = (double*)malloc(8 * columns * vectors), *y = (double*)calloc((size_t)rows * vectors, 8), *got = (double*)malloc(8 * rows * vectors);
    for (int i = 0; i < columns * vectors; i++) x[i] = (float)noise();
    for (int v = 0; v < vectors; v++)
        for (int r = 0; r < rows; r++)
            for (int k = starts[r]; k < starts[r + 1]; k++) y[v * rows + r] += 1.5 * value[k] * x[v * columns + column[k]];
    float* single = (float*)malloc(4 * (count + columns * vectors + rows * vectors));
    for (int i = 0; i < count; i++) single[i] = (float)value[i];
    for (int i = 0; i < columns * vectors; i++) single[count + i] = (float)x[i];
    void *ds = device(starts, 4 * (rows + 1)), *dc = device(column, 4 * count), *dv = device(wide ? (void*)value : (void*)single, e * count), *dx = device(wide ? (void*)x : (void*)(single + count), e * columns * vectors),
         *dy = device(0, e * rows * vectors), *matrix = 0, *in = 0, *out = 0, *buffer = 0;
    int type = wide ? F64 : F32;
    float a32 = 1.5f, b32 = 0;
    double a64 = 1.5, b64 = 0;
    const void *alpha = wide ? (void*)&a64 : (void*)&a32, *beta = wide ? (void*)&b64 : (void*)&b32;
    size_t bytes = 0;
    OK(cusparseCreateCsr(&matrix, rows, columns, count, ds, dc, dv, I32, I32, 0, type));
    char name[80];
    if (vectors == 1) {
        OK(cusparseCreateDnVec(&in, columns, dx, type));
        OK(cusparseCreateDnVec(&out, rows, dy, type));
        OK(cusparseSpMV_bufferSize(h, 0, alpha, matrix, in, beta, out, type, 0, &bytes));
        buffer = device(0, bytes + 16);
        OK(cusparseSpMV(h, 0, alpha, matrix, in, beta, out, type, 0, buffer));
        snprintf(name, sizeof name, "SpMV %s %dx%d", wide ? "double" : "single", rows, columns);
    } else {
        OK(cusparseCreateDnMat(&in, columns, vectors, columns, dx, type, ColumnMajor));
        OK(cusparseCreateDnMat(&out, rows, vectors, rows, dy, type, ColumnMajor));
        OK(cusparseSpMM_bufferSize(h, 0, 0, alpha, matrix, in, beta, out, type, 0, &bytes));
        buffer = device(0, bytes + 16);
        OK(cusparseSpMM(h, 0, 0, alpha, matrix, in, beta, out, type, 0, buffer));
        snprintf(name, sizeof name, "SpMM %s %dx%dx%d", wide ? "double" : "single", rows, columns, vectors);
    }
    fetch(wide ? (void*)got : (void*)single, dy, e * rows * vectors);
    if (!wide) for (int i = 0; i < rows * vectors; i++) got[i] = single[i];
    report(name, largest(got, y, (size_t)rows * vectors), wide ? 1e-13 : 1e-5);
}

int main(void) {
    Handle h = 0;
    OK(cusparseCreate(&h));
    if (failures) return 1;
    run(h, 1000, 700, 0, 1);
    run(h, 333, 1200, 1, 1);
    run(h, 500, 400, 0, 8);
    run(h, 128, 64, 1, 3);
    OK(cusparseDestroy(h));
    printf(failures ? "%d wrong\n" : "all right\n", failures);
    return failures != 0;
}
