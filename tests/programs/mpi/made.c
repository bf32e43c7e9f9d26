// made ROUNDS [MILLISECONDS]: what a program makes for itself: parts of arrays that are spread over ranks, types by precision, data in the representation external32, generalized requests, error classes; again and again, some of it kept from the first round on. Prints "round N" at rank 0 after each and "ok" at the end. Any number of ranks.
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

static void external(void)
{
    struct { char c; int i; double d; short s; } x[2] = { { 'a', 0x01020304 + current, 1.5, -2 }, { 'b', -1, -0.25, 258 } }, y[2]; int blocks[4] = { 1, 1, 1, 1 }; MPI_Aint places[4] = { 0, 4, 8, 16 }, bytes, at = 0; MPI_Datatype parts[4] = { MPI_CHAR, MPI_INT, MPI_DOUBLE, MPI_SHORT }, s, t; unsigned char p[64];
    MPI_Type_create_struct(4, blocks, places, parts, &s); MPI_Type_create_resized(s, 0, sizeof x[0], &t); MPI_Type_commit(&t); MPI_Type_free(&s); MPI_Pack_external_size("external32", 2, t, &bytes); CHECK(bytes == 30);
    memset(p, 0x55, sizeof p); MPI_Pack_external("external32", x, 2, t, p, sizeof p, &at); CHECK(at == 30 && p[30] == 0x55); unsigned char first[15] = { 'a', 1, 2, 3, 4 + current, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0xff, 0xfe }, second[15] = { 'b', 255, 255, 255, 255, 0xbf, 0xd0, 0, 0, 0, 0, 0, 0, 1, 2 }; CHECK(!memcmp(p, first, 15) && !memcmp(p + 15, second, 15));
    memset(y, 0, sizeof y); at = 0; MPI_Unpack_external("external32", p, 30, &at, y, 2, t); CHECK(at == 30 && y[0].c == 'a' && y[0].i == x[0].i && y[0].d == 1.5 && y[0].s == -2 && y[1].c == 'b' && y[1].i == -1 && y[1].d == -0.25 && y[1].s == 258); MPI_Type_free(&t);
    // a column
    float m[12], n[12] = { 0 }; for (int i = 0; i < 12; i++) m[i] = i; MPI_Type_vector(4, 1, 3, MPI_FLOAT, &t); MPI_Type_commit(&t); at = 4; MPI_Pack_external("external32", m + 1, 1, t, p, sizeof p, &at); CHECK(at == 20 && p[8] == 0x40 && p[9] == 0x80 && !p[10]); at = 4; MPI_Unpack_external("external32", p, 20, &at, n + 2, 1, t); CHECK(n[2] == 1 && n[5] == 4 && n[8] == 7 && n[11] == 10 && n[3] == 0); MPI_Type_free(&t);
#ifndef MPI_PLAIN // what of table 13.2 the libraries do otherwise
    long l[2] = { -5, 0x12345678 }, k[2]; at = 0; MPI_Pack_external("external32", l, 2, MPI_LONG, p, sizeof p, &at); CHECK(at == 8 && p[0] == 255 && p[3] == 251 && p[4] == 0x12); at = 0; MPI_Unpack_external("external32", p, 8, &at, k, 2, MPI_LONG); CHECK(at == 8 && k[0] == -5 && k[1] == l[1]);
    long double q[3] = { 1.5L, -3e-4940L, 1.0L / 3 }, v[3]; memset(v, 0, sizeof v); at = 0; MPI_Pack_external("external32", q, 3, MPI_LONG_DOUBLE, p, sizeof p, &at); CHECK(at == 48 && p[0] == 0x3f && p[1] == 0xff && p[2] == 0x80 && !p[3]); at = 0; MPI_Unpack_external("external32", p, 48, &at, v, 3, MPI_LONG_DOUBLE); CHECK(v[0] == q[0] && v[1] == q[1] && v[2] == q[2]);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN); l[0] = 1L << 40; at = 0; int e = MPI_Pack_external("external32", l, 1, MPI_LONG, p, sizeof p, &at); MPI_Error_class(e, &e); CHECK(e == MPI_ERR_CONVERSION); e = MPI_Pack_external("other", l, 1, MPI_LONG, p, sizeof p, &at); MPI_Error_class(e, &e); CHECK(e == MPI_ERR_UNSUPPORTED_DATAREP); CHECK(MPI_Pack_external("external32", l, 1, MPI_INT, p, 3, &at) != MPI_SUCCESS && at == 0); MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_ARE_FATAL);
#endif
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
        arrays(); precisions(); external(); requests(); errors();
        if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    MPI_Grequest_complete(kept); MPI_Wait(&kept, MPI_STATUS_IGNORE); MPI_Finalize(); if (!rank) printf("ok\n"); return 0;
}
