// threads ROUNDS [alone]: four threads of each rank send and receive at the same time (MPI_THREAD_MULTIPLE), each with tags of its own, short and long messages; then the program computes on after MPI_Finalize, printing "after N"; with a second argument rank 0 alone.
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static int rank, size, rounds;
static void *work(void *a)
{
    int t = (int)(long)a, right = (rank + 1) % size, left = (rank + size - 1) % size;
    for (int r = 0; r < rounds; r++) {
        int n = r % 7 == 0 ? 30000 : 1 + r % 50; int *x = malloc(4 * n), *y = malloc(4 * n); for (int i = 0; i < n; i++) x[i] = rank * 1000003 + t * 10007 + r + i;
        MPI_Request q; MPI_Status st; MPI_Irecv(y, n, MPI_INT, left, 100 + t, MPI_COMM_WORLD, &q); MPI_Send(x, n, MPI_INT, right, 100 + t, MPI_COMM_WORLD); MPI_Wait(&q, &st);
        for (int i = 0; i < n; i++) if (y[i] != left * 1000003 + t * 10007 + r + i) { printf("rank %d, thread %d, round %d: item %d\n", rank, t, r, i); MPI_Abort(MPI_COMM_WORLD, 3); }
        if (t == 0 && rank == 0) { printf("round %d\n", r); fflush(stdout); } struct timespec d = { 0, 3000000 }; nanosleep(&d, 0); free(x); free(y);
    }
    return 0;
}
int main(int argc, char **argv)
{
    int provided; rounds = atoi(argv[1]); MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided); if (provided != MPI_THREAD_MULTIPLE) { printf("no threads\n"); MPI_Abort(MPI_COMM_WORLD, 4); }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size); pthread_t t[4]; for (long i = 0; i < 4; i++) pthread_create(&t[i], 0, work, (void *)i); for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
    MPI_Barrier(MPI_COMM_WORLD); MPI_Finalize();
    if (argc > 2 && rank) return 0;
    for (int i = 0; i < 20; i++) { if (!rank) { printf("after %d\n", i); fflush(stdout); } struct timespec d = { 0, 100000000 }; nanosleep(&d, 0); }
    if (!rank) printf("ok\n"); return 0;
}
