// The same as nccl.cu by MPI: MPI_Allreduce of float sums and MPI_Alltoall of bytes over two ranks.
//   mpi REPEATS
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    int rank, ranks, repeats = argc > 1 ? atoi(argv[1]) : 7;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const size_t most = 64u << 20;
    char *from = malloc(most), *to = malloc(most);
    memset(from, 0, most);
    memset(to, 0, most);
    for (size_t bytes = 64 << 10; bytes <= most; bytes *= 4) {
        int calls = bytes > 4u << 20 ? 4 : 32;
        double best[2] = { 1e30, 1e30 };
        for (int r = 0; r < repeats; r++)
            for (int what = 0; what < 2; what++) {
                MPI_Barrier(MPI_COMM_WORLD);
                double begin = MPI_Wtime();
                for (int c = 0; c < calls; c++)
                    if (what == 0) MPI_Allreduce(from, to, (int)(bytes / 4), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
                    else MPI_Alltoall(from, (int)(bytes / (size_t)ranks), MPI_BYTE, to, (int)(bytes / (size_t)ranks), MPI_BYTE, MPI_COMM_WORLD);
                double took = (MPI_Wtime() - begin) * 1e6 / calls;
                if (took < best[what]) best[what] = took;
            }
        if (rank == 0) printf("%zu %.1f %.1f\n", bytes, best[0], best[1]);
    }
    return MPI_Finalize();
}
