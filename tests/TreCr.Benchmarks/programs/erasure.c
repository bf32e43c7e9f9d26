// ISA-L (Debian's libisal) and memcpy over the same bytes as StoreBench: erasure DATA PARITY MIB prints one line: GB/s of encoding, GB/s of memcpy.
// Units of 64 KiB; parity 1 is xor_gen, else ec_encode_data with the tables of a Cauchy matrix.
#include <isa-l.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UNIT = 64 << 10 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc < 4) return 2;
    int k = atoi(argv[1]), m = atoi(argv[2]);
    size_t stripes = ((size_t)atoi(argv[3]) << 20) / ((size_t)k * UNIT), bytes = stripes * k * UNIT;
    unsigned char *data = aligned_alloc(64, bytes), *parity = aligned_alloc(64, stripes * m * UNIT), *copy = aligned_alloc(64, bytes), matrix[64 * 64], tables[64 * 64 * 32];
    for (size_t i = 0; i < bytes; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    memset(parity, 1, stripes * m * UNIT);
    memset(copy, 1, bytes);
    gf_gen_cauchy1_matrix(matrix, k + m, k);
    ec_init_tables(k, m, matrix + k * k, tables);
    double start = now();
    for (size_t s = 0; s < stripes; s++) {
        unsigned char *from[65], *to[64];
        for (int j = 0; j < k; j++) from[j] = data + (s * k + j) * UNIT;
        for (int j = 0; j < m; j++) to[j] = parity + (s * m + j) * UNIT;
        if (m == 1) {
            from[k] = to[0];
            xor_gen(k + 1, UNIT, (void **)from);
        } else
            ec_encode_data(UNIT, k, m, tables, from, to);
    }
    double encoded = now() - start;
    start = now();
    for (size_t at = 0; at < bytes; at += UNIT) memcpy(copy + at, data + at, UNIT);
    double copied = now() - start;
    unsigned sum = copy[bytes / 3] + parity[stripes * m * UNIT / 2];
    printf("%g %g %u\n", bytes / 1e9 / encoded, bytes / 1e9 / copied, sum);
    return 0;
}
