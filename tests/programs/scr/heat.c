/* A heat equation with the calls of SCR's example test_api in their order: a file for each rank and checkpoint, routed by SCR.
   heat STEPS EVERY [ROWS [FLAGS]]: says "restart V NAME", "taken V" when a checkpoint is complete, "step N", and at the end "sum X". FLAGS: 1 checkpoint, 3 checkpoint and output.
   With MPI the rows are spread over the ranks; with HEAT_ALONE it is one process. HEAT_CONFIG: words for SCR_Config, separated by ';'. */
#ifndef HEAT_ALONE
#include <mpi.h>
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "scr.h"

#define COLUMNS 256

static int rank, ranks = 1;

static void fail(const char *what) {
    printf("failed: %s\n", what);
    fflush(stdout);
    _Exit(3);
}

static void say(const char *what, int number, const char *more) {
    if (rank == 0) {
        printf("%s %d%s%s\n", what, number, *more ? " " : "", more);
        fflush(stdout);
    }
}

static void exchange(double *grid, int rows) {
#ifndef HEAT_ALONE
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

static int restart(double *grid, size_t cells) {
    char name[SCR_MAX_FILENAME], path[SCR_MAX_FILENAME], file[SCR_MAX_FILENAME];
    int have = 0, i = 0;
    while (SCR_Have_restart(&have, name) == SCR_SUCCESS && have) {
        if (SCR_Start_restart(name) != SCR_SUCCESS) fail("start restart");
        snprintf(path, sizeof path, "%.900s/rank_%d.ckpt", name, rank);
        int good = SCR_Route_file(path, file) == SCR_SUCCESS;
        FILE *in = good ? fopen(file, "rb") : NULL;
        good = in && fread(&i, sizeof i, 1, in) == 1 && fread(grid, sizeof *grid, cells, in) == cells;
        if (in) fclose(in);
        if (SCR_Complete_restart(good) == SCR_SUCCESS) {
            say("restart", i, name);
            return i;
        }
    }
    say("restart", -1, "");
    return 0;
}

static void checkpoint(int i, int flags, const double *grid, size_t cells) {
    char name[64], path[SCR_MAX_FILENAME], file[SCR_MAX_FILENAME];
    snprintf(name, sizeof name, "timestep.%d", i);
    if (SCR_Start_output(name, flags) != SCR_SUCCESS) fail("start output");
    snprintf(path, sizeof path, "%.900s/rank_%d.ckpt", name, rank);
    if (SCR_Route_file(path, file) != SCR_SUCCESS) fail("route");
    FILE *out = fopen(file, "wb");
    int good = out && fwrite(&i, sizeof i, 1, out) == 1 && fwrite(grid, sizeof *grid, cells, out) == cells;
    if (out && fclose(out) != 0) good = 0;
    if (SCR_Complete_output(good) != SCR_SUCCESS) fail("complete output");
    say("taken", i, "");
}

int main(int argc, char **argv) {
    int steps = atoi(argv[1]), every = atoi(argv[2]), all = argc > 3 ? atoi(argv[3]) : 256, flags = argc > 4 ? atoi(argv[4]) : SCR_FLAG_CHECKPOINT, exits = 0;
#ifndef HEAT_ALONE
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#endif
    char *configuration = getenv("HEAT_CONFIG");
    for (char *word = configuration ? strtok(strdup(configuration), ";") : NULL; word; word = strtok(NULL, ";")) SCR_Configf("%s", word);
    if (SCR_Init() != SCR_SUCCESS) fail("init");
    int rows = all / ranks;
    size_t cells = (size_t)(rows + 2) * COLUMNS;
    double *grid = calloc(cells, sizeof *grid), *next = calloc(cells, sizeof *next);
    for (int x = 0; x < COLUMNS; x++)
        if (rank == 0) grid[x] = next[x] = 100.0 + x;

    int i = restart(grid, cells);
    memcpy(next, grid, cells * sizeof *grid);
    while (i < steps && !exits) {
        exchange(grid, rows);
        step(grid, next, rows);
        memcpy(grid + COLUMNS, next + COLUMNS, (size_t)rows * COLUMNS * sizeof *grid);
        i++;
        say("step", i, "");
        int due = 0;
        if (SCR_Need_checkpoint(&due) != SCR_SUCCESS) fail("need checkpoint");
        if (i % every && !due) continue;
        checkpoint(i, flags, grid, cells);
        if (SCR_Should_exit(&exits) != SCR_SUCCESS) fail("should exit");
    }
    if (SCR_Finalize() != SCR_SUCCESS) fail("finalize");
    double sum = 0, whole;
    for (size_t c = COLUMNS; c < cells - COLUMNS; c++) sum += grid[c] * (double)(c % 97 + 1);
    whole = sum;
#ifndef HEAT_ALONE
    MPI_Reduce(&sum, &whole, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Finalize();
#endif
    if (rank == 0) printf("%s %a\n", exits ? "halted" : "sum", whole);
    return 0;
}
