/* How long an output phase of SCR takes. bench MIB ROUNDS TYPE: the median in ms, the slowest rank's, of writing MIB from each rank; TYPE none: the same without SCR. */
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scr.h"

static int by_value(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int rank, rounds = atoi(argv[2]), plain = !strcmp(argv[3], "none");
    size_t bytes = (size_t)atol(argv[1]) << 20;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (!plain && SCR_Init() != SCR_SUCCESS) MPI_Abort(MPI_COMM_WORLD, 3);
    char *memory = malloc(bytes);
    double *times = calloc(rounds, sizeof *times);
    for (size_t i = 0; i < bytes; i++) memory[i] = (char)(i * 31 + rank);
    for (int round = -1; round < rounds; round++) {
        char name[64], path[128], file[SCR_MAX_FILENAME];
        snprintf(name, sizeof name, "set.%d", round + 1);
        snprintf(path, sizeof path, "%s/rank.%d", name, rank);
        MPI_Barrier(MPI_COMM_WORLD);
        double begun = MPI_Wtime();
        if (plain) snprintf(file, sizeof file, "rank.%d.%d", rank, round & 1);
        else if (SCR_Start_output(name, SCR_FLAG_CHECKPOINT) != SCR_SUCCESS || SCR_Route_file(path, file) != SCR_SUCCESS) MPI_Abort(MPI_COMM_WORLD, 4);
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600), good = fd >= 0;
        for (size_t done = 0; good && done < bytes;) {
            ssize_t n = write(fd, memory + done, bytes - done);
            if (n <= 0) good = 0;
            else done += n;
        }
        close(fd);
        if (!plain && SCR_Complete_output(good) != SCR_SUCCESS) MPI_Abort(MPI_COMM_WORLD, 5);
        double own = (MPI_Wtime() - begun) * 1e3, slowest;
        MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (round >= 0) times[round] = slowest;
    }
    if (!plain) SCR_Finalize();
    qsort(times, rounds, sizeof *times, by_value);
    if (rank == 0) printf("%.0f\n", times[rounds / 2]);
    MPI_Finalize();
    return 0;
}
