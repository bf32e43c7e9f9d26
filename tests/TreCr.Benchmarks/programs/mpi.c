// Two ranks or more: prints "latency_BYTES US" (half a round trip), "window_BYTES US" (one of 16 messages under way), "allreduce_BYTES US", "halo US" (four neighbours, 8 KiB each, then an allreduce of a double).
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int rank, size;
static void print(const char *name, int bytes, double us) { if (!rank) { if (bytes) printf("%s_%d %.3f\n", name, bytes, us); else printf("%s %.3f\n", name, us); } }
int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); char *a = malloc(16 << 22), *b = malloc(16 << 22); memset(a, rank, 16 << 22); memset(b, rank, 16 << 22);
    int sizes[] = { 8, 1024, 65536, 1 << 20, 4 << 20 };
    for (int k = 0; k < 5; k++) {
        int n = sizes[k], rounds = n <= 1024 ? 3000 : n <= 65536 ? 1000 : 60; MPI_Barrier(MPI_COMM_WORLD); double start = MPI_Wtime();
        for (int i = 0; i < rounds; i++) { if (rank == 0) { MPI_Send(a, n, MPI_CHAR, 1, 1, MPI_COMM_WORLD); MPI_Recv(b, n, MPI_CHAR, 1, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE); } else if (rank == 1) { MPI_Recv(b, n, MPI_CHAR, 0, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE); MPI_Send(a, n, MPI_CHAR, 0, 1, MPI_COMM_WORLD); } }
        print("latency", n, (MPI_Wtime() - start) / rounds / 2 * 1e6);
        MPI_Barrier(MPI_COMM_WORLD); start = MPI_Wtime(); int windows = n <= 65536 ? 200 : 8; MPI_Request q[16];
        for (int w = 0; w < windows; w++) { for (int i = 0; i < 16; i++) { if (rank == 0) MPI_Isend(a + (size_t)i * n, n, MPI_CHAR, 1, 2, MPI_COMM_WORLD, &q[i]); else if (rank == 1) MPI_Irecv(b + (size_t)i * n, n, MPI_CHAR, 0, 2, MPI_COMM_WORLD, &q[i]); } if (rank < 2) MPI_Waitall(16, q, MPI_STATUSES_IGNORE); }
        if (rank == 1) MPI_Send(a, 1, MPI_CHAR, 0, 3, MPI_COMM_WORLD); if (rank == 0) MPI_Recv(b, 1, MPI_CHAR, 1, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE); print("window", n, (MPI_Wtime() - start) / windows / 16 * 1e6);
    }
    int counts[] = { 1, 128, 131072 };
    for (int k = 0; k < 3; k++) { int n = counts[k], rounds = n < 1000 ? 2000 : 50; MPI_Barrier(MPI_COMM_WORLD); double start = MPI_Wtime(); for (int i = 0; i < rounds; i++) MPI_Allreduce(a, b, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD); print("allreduce", 8 * n, (MPI_Wtime() - start) / rounds * 1e6); }
    MPI_Barrier(MPI_COMM_WORLD); double start = MPI_Wtime(), x = 1, y; int right = (rank + 1) % size, left = (rank + size - 1) % size, rounds = 1000;
    for (int i = 0; i < rounds; i++) { MPI_Request q[8]; for (int k = 0; k < 4; k++) { MPI_Irecv(b + k * 8192, 8192, MPI_CHAR, k % 2 ? left : right, 4 + k, MPI_COMM_WORLD, &q[k]); MPI_Isend(a + k * 8192, 8192, MPI_CHAR, k % 2 ? right : left, 4 + k, MPI_COMM_WORLD, &q[4 + k]); } MPI_Waitall(8, q, MPI_STATUSES_IGNORE); MPI_Allreduce(&x, &y, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD); }
    print("halo", 0, (MPI_Wtime() - start) / rounds * 1e6); MPI_Finalize(); return 0;
}
