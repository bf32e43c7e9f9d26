/* A heat equation that takes checkpoints of itself, with the calls of VELOC's examples heatdis_mem and heatdis_file in their order.
   heat mem|file CONFIGURATION STEPS EVERY [ROWS]: says "restart V", "saved V" when a version is where it is to be, "step N", and at the end "sum X".
   With MPI the rows are spread over the ranks; with VELOC_WITHOUT_MPI it is one process. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "veloc.h"

#define COLUMNS 256
#define NAME "heat"

static int rank, ranks = 1;

static void fail(const char *what) {
    printf("failed: %s\n", what);
    fflush(stdout);
    exit(3);
}

static void say(const char *what, int number) {
    if (rank == 0) {
        printf("%s %d\n", what, number);
        fflush(stdout);
    }
}

static void exchange(double *grid, int rows) {
#ifdef VELOC_HAS_MPI
    int up = rank > 0 ? rank - 1 : MPI_PROC_NULL, down = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;
    MPI_Sendrecv(grid + COLUMNS, COLUMNS, MPI_DOUBLE, up, 1, grid + (rows + 1) * COLUMNS, COLUMNS, MPI_DOUBLE, down, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(grid + rows * COLUMNS, COLUMNS, MPI_DOUBLE, down, 2, grid, COLUMNS, MPI_DOUBLE, up, 2, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
#else
    (void)grid, (void)rows;
#endif
}

static void step(const double *from, double *to, int rows) {
    for (int y = 1; y <= rows; y++)
        for (int x = 0; x < COLUMNS; x++) {
            double left = x > 0 ? from[y * COLUMNS + x - 1] : 0, right = x < COLUMNS - 1 ? from[y * COLUMNS + x + 1] : 0;
            to[y * COLUMNS + x] = 0.25 * (left + right + from[(y - 1) * COLUMNS + x] + from[(y + 1) * COLUMNS + x]);
        }
}

static void original_name(char *name, const char *directory, int version) { snprintf(name, VELOC_MAX_NAME, "%s/heat_%d_%d.bin", directory, rank, version); }

static void checkpoint_file(const char *directory, int i, const double *grid, size_t cells) {
    char original[VELOC_MAX_NAME], routed[VELOC_MAX_NAME];
    original_name(original, directory, i);
    if (VELOC_Checkpoint_begin(NAME, i) != VELOC_SUCCESS) fail("begin");
    if (VELOC_Route_file(original, routed) != VELOC_SUCCESS) fail("route");
    FILE *file = fopen(routed, "wb");
    int good = file && fwrite(&i, sizeof i, 1, file) == 1 && fwrite(grid, sizeof *grid, cells, file) == cells;
    if (file && fclose(file) != 0) good = 0;
    if (VELOC_Checkpoint_end(good) != VELOC_SUCCESS) fail("end");
}

static int restart_file(const char *directory, int version, double *grid, size_t cells) {
    char original[VELOC_MAX_NAME], routed[VELOC_MAX_NAME];
    int i = -1;
    original_name(original, directory, version);
    if (VELOC_Restart_begin(NAME, version) != VELOC_SUCCESS) fail("restart begin");
    if (VELOC_Route_file(original, routed) != VELOC_SUCCESS) fail("route at restart");
    FILE *file = fopen(routed, "rb");
    int good = file && fread(&i, sizeof i, 1, file) == 1 && fread(grid, sizeof *grid, cells, file) == cells;
    if (file) fclose(file);
    if (VELOC_Restart_end(good) != VELOC_SUCCESS || !good) fail("restart end");
    return i;
}

int main(int argc, char **argv) {
    int files = argc > 1 && !strcmp(argv[1], "file"), steps = atoi(argv[3]), every = atoi(argv[4]), all = argc > 5 ? atoi(argv[5]) : 256, i = 0, saved = -1;
#ifdef VELOC_HAS_MPI
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (VELOC_Init(MPI_COMM_WORLD, argv[2]) != VELOC_SUCCESS) fail("init");
#else
    if (VELOC_Init_single(0, argv[2]) != VELOC_SUCCESS) fail("init");
#endif
    const char *directory = getenv("HEAT_FILES");
    int rows = all / ranks;
    size_t cells = (size_t)(rows + 2) * COLUMNS;
    double *grid = calloc(cells, sizeof *grid), *next = calloc(cells, sizeof *next);
    for (int x = 0; x < COLUMNS; x++)
        if (rank == 0) grid[x] = next[x] = 100.0 + x;
    VELOC_Mem_protect(0, &i, 1, sizeof i);
    VELOC_Mem_protect(1, grid, cells, sizeof *grid);
    VELOC_Mem_protect(2, next, cells, sizeof *next);

    int version = VELOC_Restart_test(NAME, 0);
    say("restart", version);
    if (version > 0) {
        if (files) i = restart_file(directory, version, grid, cells);
        else if (VELOC_Restart(NAME, version) != VELOC_SUCCESS) fail("restart");
        if (i != version) fail("another version came back");
    }
    while (i < steps) {
        exchange(grid, rows);
        step(grid, next, rows);
        memcpy(grid + COLUMNS, next + COLUMNS, (size_t)rows * COLUMNS * sizeof *grid);
        i++;
        say("step", i);
        if (i % every) continue;
        if (VELOC_Checkpoint_wait() != VELOC_SUCCESS) fail("wait");
        if (saved >= 0) say("saved", saved);
        if (files) checkpoint_file(directory, i, grid, cells);
        else if (VELOC_Checkpoint(NAME, i) != VELOC_SUCCESS) fail("checkpoint");
        say("taken", i);
        saved = i;
    }
    if (VELOC_Finalize(1) != VELOC_SUCCESS) fail("finalize");
    double sum = 0, whole;
    for (size_t c = COLUMNS; c < cells - COLUMNS; c++) sum += grid[c] * (double)(c % 97 + 1);
    whole = sum;
#ifdef VELOC_HAS_MPI
    MPI_Reduce(&sum, &whole, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Finalize();
#endif
    if (rank == 0) printf("sum %a\n", whole);
    return 0;
}
