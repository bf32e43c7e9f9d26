// made ROUNDS [MILLISECONDS]: what a program makes for itself: parts of arrays that are spread over ranks, types by precision, generalized requests, error classes; again and again, some of it kept from the first round on. Prints "round N" at rank 0 after each and "ok" at the end. Any number of ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)

static void arrays(void)
{
    // 7 x 6 items over 2 x 2 ranks: cyclic pieces of 2 rows, blocks of columns; which rank has which item
    int sizes[2] = { 7, 6 }, how[2] = { MPI_DISTRIBUTE_CYCLIC, MPI_DISTRIBUTE_BLOCK }, with[2] = { 2, MPI_DISTRIBUTE_DFLT_DARG }, grid[2] = { 2, 2 }, m[42], got[42], seen = 0; MPI_Aint lb, extent;
    for (int order = 0; order < 2; order++) for (int r = 0; r < 4; r++) {
        MPI_Datatype part; MPI_Type_create_darray(4, r, 2, sizes, how, with, grid, order ? MPI_ORDER_FORTRAN : MPI_ORDER_C, MPI_INT, &part); MPI_Type_commit(&part); MPI_Type_get_extent(part, &lb, &extent); CHECK(lb == 0 && extent == 42 * 4);
        int bytes, n = 0; MPI_Type_size(part, &bytes); for (int i = 0; i < 42; i++) m[i] = i; int position = 0; MPI_Pack(m, 1, part, got, sizeof got, &position, MPI_COMM_WORLD); CHECK(position == bytes);
        if (!order) { for (int i = 0; i < 7; i++) for (int j = 0; j < 6; j++) if (i / 2 % 2 == r / 2 && j / 3 == r % 2) CHECK(got[n++] == i * 6 + j); } else for (int j = 0; j < 6; j++) for (int i = 0; i < 7; i++) if (i / 2 % 2 == r / 2 && j / 3 == r % 2) CHECK(got[n++] == j * 7 + i);
        CHECK(n * 4 == bytes); seen += n; MPI_Type_free(&part);
    }
    CHECK(seen == 84);
}

static void precisions(void)
{
    MPI_Datatype a, b, t; int bytes, i[2], n, na, nt, combiner; MPI_Type_create_f90_real(15, 307, &a); MPI_Type_create_f90_real(15, 307, &b); MPI_Type_size(a, &bytes); CHECK(bytes == 8 && a == b); MPI_Type_get_envelope(a, &n, &na, &nt, &combiner); CHECK(combiner == MPI_COMBINER_F90_REAL && n == 2 && nt == 0); MPI_Type_get_contents(a, 2, 0, 0, i, 0, 0); CHECK(i[0] == 15 && i[1] == 307);
    MPI_Type_create_f90_integer(9, &t); MPI_Type_size(t, &bytes); CHECK(bytes == 4); MPI_Type_create_f90_complex(6, 37, &t); MPI_Type_size(t, &bytes); CHECK(bytes == 8); MPI_Type_match_size(MPI_TYPECLASS_REAL, 4, &t); MPI_Type_size(t, &bytes); CHECK(bytes == 4); MPI_Type_match_size(MPI_TYPECLASS_INTEGER, 8, &t); MPI_Type_size(t, &bytes); CHECK(bytes == 8);
    double x = rank, s; MPI_Allreduce(&x, &s, 1, a, MPI_SUM, MPI_COMM_WORLD); CHECK(s == size * (size - 1) / 2);
}

static int freed, cancelled;
static int query(void *extra, MPI_Status *st) { MPI_Status_set_elements(st, MPI_INT, *(int *)extra); MPI_Status_set_cancelled(st, cancelled); st->MPI_SOURCE = 7; st->MPI_TAG = 8; return MPI_SUCCESS; }
static int release(void *extra) { freed++; return MPI_SUCCESS; }
static int cancel(void *extra, int complete) { cancelled = !complete; return MPI_SUCCESS; }
static int five = 5; static MPI_Request kept = MPI_REQUEST_NULL;

static void requests(void)
{
    MPI_Request q[2]; MPI_Status st; int flag, n, v = rank, w = -1; freed = cancelled = 0; MPI_Grequest_start(query, release, cancel, &five, &q[0]); MPI_Test(&q[0], &flag, &st); CHECK(!flag && !freed);
    MPI_Irecv(&w, 1, MPI_INT, MPI_ANY_SOURCE, 3, MPI_COMM_SELF, &q[1]); MPI_Send(&v, 1, MPI_INT, 0, 3, MPI_COMM_SELF); MPI_Grequest_complete(q[0]); MPI_Status both[2]; MPI_Waitall(2, q, both); CHECK(freed == 1 && w == rank && q[0] == MPI_REQUEST_NULL && both[0].MPI_SOURCE == 7 && both[0].MPI_TAG == 8); MPI_Get_count(&both[0], MPI_INT, &n); CHECK(n == 5);
    MPI_Grequest_start(query, release, cancel, &five, &q[0]); MPI_Cancel(&q[0]); MPI_Grequest_complete(q[0]); MPI_Wait(&q[0], &st); MPI_Test_cancelled(&st, &flag); CHECK(flag && freed == 2); cancelled = 0;
    MPI_Grequest_start(query, release, cancel, &five, &q[0]); MPI_Request before = q[0]; MPI_Request_free(&q[0]); CHECK(q[0] == MPI_REQUEST_NULL); MPI_Grequest_complete(before); CHECK(freed == 3);
    // begun in one round, complete in the next one
    if (kept != MPI_REQUEST_NULL) { MPI_Grequest_complete(kept); MPI_Wait(&kept, &st); CHECK(st.MPI_TAG == 8 && freed == 4); } MPI_Grequest_start(query, release, cancel, &five, &kept);
}

static int class = -1, code, handledCode; static void handler(MPI_Comm *c, int *e, ...) { handledCode = *e; }

static void errors(void)
{
    int n, k, *last, flag; char text[MPI_MAX_ERROR_STRING]; if (class < 0) { MPI_Add_error_class(&class); CHECK(class > MPI_ERR_LASTCODE); MPI_Add_error_string(class, "a class"); MPI_Add_error_code(class, &code); CHECK(code > MPI_ERR_LASTCODE); MPI_Add_error_string(code, "a code of it"); }
    MPI_Error_class(code, &k); CHECK(k == class); MPI_Error_string(code, text, &n); CHECK(!strcmp(text, "a code of it") && n == 12); MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_LASTUSEDCODE, &last, &flag); CHECK(flag);
    MPI_Errhandler own; MPI_Comm copy; MPI_Comm_dup(MPI_COMM_WORLD, &copy); MPI_Comm_create_errhandler(handler, &own); MPI_Comm_set_errhandler(copy, own); MPI_Errhandler_free(&own); handledCode = 0; MPI_Comm_call_errhandler(copy, code); CHECK(handledCode == code);
    MPI_Comm_free(&copy);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (current = 0; current < rounds; current++) {
        arrays(); precisions(); requests(); errors();
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    MPI_Grequest_complete(kept); MPI_Wait(&kept, MPI_STATUS_IGNORE); MPI_Finalize(); if (!rank) printf("ok\n"); return 0;
}
