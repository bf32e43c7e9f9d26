// files DIRECTORY ROUNDS [MILLISECONDS]: MPI-IO of every kind, checked again and again; one file stays open all the time and must hold each round's records once, in order. Prints "round N" at rank 0 after each and "ok" at the end. Works with any number of ranks.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current; static char path[4096];
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); MPI_Abort(MPI_COMM_WORLD, 3); } } while (0)
#define OK(e) CHECK((e) == MPI_SUCCESS)
static int class_of(int e) { int c; MPI_Error_class(e, &c); return c; }
static int count_of(MPI_Status *s, MPI_Datatype t) { int n; MPI_Get_count(s, t, &n); return n; }

static void offsets(int r)
{
    MPI_File f; MPI_Status s; MPI_Offset at; int x[100], y[100], mode; path[strlen(path) - 1] = '1';
    OK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL, &f)); OK(MPI_File_set_size(f, 0)); /* one may lie here that was made behind the checkpoint and killed with its maker */ MPI_File_get_amode(f, &mode); CHECK(mode == (MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE));
    for (int i = 0; i < 100; i++) x[i] = rank * 1000 + i + r; OK(MPI_File_write_at(f, rank * 400, x, 100, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 100); OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_sync(f));
    int other = (rank + 1) % size; OK(MPI_File_read_at_all(f, other * 400, y, 100, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 100); for (int i = 0; i < 100; i++) CHECK(y[i] == other * 1000 + i + r); MPI_Barrier(MPI_COMM_WORLD);
    MPI_Request q; OK(MPI_File_iwrite_at(f, rank * 400 + 40, x, 10, MPI_INT, &q)); MPI_Wait(&q, &s); CHECK(count_of(&s, MPI_INT) == 10); OK(MPI_File_iread_at(f, rank * 400 + 40, y, 12, MPI_INT, &q)); MPI_Wait(&q, &s); CHECK(y[9] == x[9] && y[10] == x[20]);
#if MPI_VERSION >= 4
    OK(MPI_File_read_at_c(f, rank * 400 + 8, y, 2, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 2 && y[1] == x[3]);
#endif
    // the end, the pointer
    OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_get_size(f, &at)); CHECK(at == 400 * size); OK(MPI_File_read_at(f, 400 * size - 8, y, 10, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 2);
    OK(MPI_File_seek(f, -8, MPI_SEEK_END)); OK(MPI_File_get_position(f, &at)); CHECK(at == 400 * size - 8); OK(MPI_File_read(f, y, 1, MPI_INT, &s)); OK(MPI_File_seek(f, 4, MPI_SEEK_CUR)); OK(MPI_File_get_position(f, &at)); CHECK(at == 400 * size);
    CHECK(MPI_File_seek(f, -1, MPI_SEEK_SET) != MPI_SUCCESS); MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_set_size(f, 12)); OK(MPI_File_get_size(f, &at)); CHECK(at == 12); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_preallocate(f, 4096)); OK(MPI_File_get_size(f, &at)); CHECK(at == 4096);
    // atomic mode: all write the same bytes, nobody sees a mixture
    int flag; OK(MPI_File_set_atomicity(f, 1)); OK(MPI_File_get_atomicity(f, &flag)); CHECK(flag); for (int i = 0; i < 100; i++) x[i] = rank; OK(MPI_File_write_at(f, 0, x, 100, MPI_INT, &s)); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_read_at(f, 0, y, 100, MPI_INT, &s)); for (int i = 1; i < 100; i++) CHECK(y[i] == y[0]);
    OK(MPI_File_close(&f)); CHECK(f == MPI_FILE_NULL);
    CHECK(class_of(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_RDONLY, MPI_INFO_NULL, &f)) == MPI_ERR_NO_SUCH_FILE); CHECK(class_of(MPI_File_delete(path, MPI_INFO_NULL)) == MPI_ERR_NO_SUCH_FILE);
    CHECK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_RDONLY | MPI_MODE_WRONLY, MPI_INFO_NULL, &f) != MPI_SUCCESS);
}

static void views(int r)
{
    // ranks take turns of three ints
    MPI_File f; MPI_Status s; MPI_Datatype v, e, ft; MPI_Offset at; char rep[MPI_MAX_DATAREP_STRING]; int x[30], y[30]; path[strlen(path) - 1] = '2';
    MPI_Type_vector(10, 3, 3 * size, MPI_INT, &v); MPI_Datatype tile; MPI_Type_create_resized(v, 0, 30 * size * 4, &tile); MPI_Type_commit(&tile); MPI_Type_free(&v);
    OK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &f)); OK(MPI_File_set_view(f, 16 + 12 * rank, MPI_INT, tile, "native", MPI_INFO_NULL));
    for (int k = 0; k < 3; k++) { for (int i = 0; i < 30; i++) x[i] = k * 10000 + rank * 100 + i + r; OK(MPI_File_write_all(f, x, 30, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 30); }
    OK(MPI_File_get_position(f, &at)); CHECK(at == 90); OK(MPI_File_get_byte_offset(f, 4, &at)); CHECK(at == 16 + 12 * rank + 12 * size + 4); OK(MPI_File_get_view(f, &at, &e, &ft, rep)); CHECK(at == 16 + 12 * rank && e == MPI_INT && !strcmp(rep, "native"));
    MPI_Aint lb, extent; MPI_Type_get_extent(ft, &lb, &extent); CHECK(extent == 30 * size * 4); MPI_Type_free(&ft); OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_sync(f));
    // a strided memory type, across the end of a tile
    MPI_Datatype m; MPI_Type_vector(15, 1, 2, MPI_INT, &m); MPI_Type_commit(&m); memset(y, 255, sizeof y); OK(MPI_File_seek(f, 20, MPI_SEEK_SET)); OK(MPI_File_read_all(f, y, 1, m, &s));
    for (int i = 0; i < 15; i++) { int k = (20 + i) / 30, j = (20 + i) % 30; CHECK(y[2 * i] == k * 10000 + rank * 100 + j + r); if (i < 14) CHECK(y[2 * i + 1] == -1); }
    OK(MPI_File_read_at_all_begin(f, 33, x, 7, MPI_INT)); OK(MPI_File_read_at_all_end(f, x, &s)); CHECK(count_of(&s, MPI_INT) == 7 && x[0] == 10000 + rank * 100 + 3 + r); MPI_Barrier(MPI_COMM_WORLD);
    // everything as the file has it
    OK(MPI_File_set_view(f, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL)); int n = 90 * size; int *all = malloc(4 * n); OK(MPI_File_read_at(f, 16, all, n, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == n);
    for (int i = 0; i < n; i++) { int block = i / 3, who = block % size, own = block / size * 3 + i % 3; CHECK(all[i] == own / 30 * 10000 + who * 100 + own % 30 + r); }
    free(all); MPI_Type_free(&m); MPI_Type_free(&tile); OK(MPI_File_close(&f)); MPI_Barrier(MPI_COMM_WORLD); if (!rank) OK(MPI_File_delete(path, MPI_INFO_NULL)); MPI_Barrier(MPI_COMM_WORLD);
}

static void shared(int r)
{
    MPI_File f; MPI_Status s; MPI_Offset at; int x[4], n = 5, seen[64] = { 0 }; path[strlen(path) - 1] = '3'; OK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR | MPI_MODE_DELETE_ON_CLOSE, MPI_INFO_NULL, &f));
    OK(MPI_File_set_view(f, 0, MPI_INT, MPI_INT, "native", MPI_INFO_NULL)); for (int i = 0; i < n; i++) { for (int k = 0; k < 4; k++) x[k] = rank * 10 + i; OK(MPI_File_write_shared(f, x, 4, MPI_INT, &s)); }
    MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_get_position_shared(f, &at)); CHECK(at == 4 * n * size); OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_seek_shared(f, 0, MPI_SEEK_SET)); for (int i = 0; i < n; i++) { OK(MPI_File_read_shared(f, x, 4, MPI_INT, &s)); CHECK(count_of(&s, MPI_INT) == 4 && x[0] == x[1] && x[1] == x[3]); int k = x[0] / 10 * n + x[0] % 10; if (k < 64) seen[k]++; }
    int sum[64]; MPI_Allreduce(seen, sum, 64, MPI_INT, MPI_SUM, MPI_COMM_WORLD); for (int i = 0; i < 64 && i < n * size; i++) CHECK(sum[i] == 1);
    // in the order of the ranks, of different lengths
    OK(MPI_File_seek_shared(f, 0, MPI_SEEK_SET)); int mine[8]; for (int i = 0; i < 8; i++) mine[i] = rank * 100 + i + r; OK(MPI_File_write_ordered(f, mine, 1 + rank, MPI_INT, &s)); OK(MPI_File_write_ordered_begin(f, mine, 1, MPI_INT)); OK(MPI_File_write_ordered_end(f, mine, &s));
    OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); int start = rank * (rank + 1) / 2, back[8]; OK(MPI_File_read_at(f, start, back, 1 + rank, MPI_INT, &s)); for (int i = 0; i <= rank; i++) CHECK(back[i] == mine[i]);
    OK(MPI_File_read_at(f, size * (size + 1) / 2 + rank, back, 1, MPI_INT, &s)); CHECK(back[0] == mine[0]); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_close(&f));
}

static void external(int r)
{
    // pairs of an int and a double, ranks taking turns; in the file 12 bytes each, highest byte first
    MPI_File f; MPI_Status s; MPI_Datatype t, whole; MPI_Offset at; MPI_Aint extent; char rep[MPI_MAX_DATAREP_STRING]; struct { int i; double d; } x[6], y[6]; int blocks[2] = { 1, 1 }, n; MPI_Aint places[2] = { 0, 8 }; MPI_Datatype parts[2] = { MPI_INT, MPI_DOUBLE }, memory, e, ft; path[strlen(path) - 1] = '5';
    MPI_Type_create_struct(2, blocks, places, parts, &memory); MPI_Type_commit(&memory); OK(MPI_File_open(MPI_COMM_WORLD, path, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &f)); OK(MPI_File_set_size(f, 0));
    OK(MPI_File_set_view(f, 0, MPI_BYTE, MPI_BYTE, "external32", MPI_INFO_NULL)); OK(MPI_File_get_type_extent(f, MPI_DOUBLE, &extent)); CHECK(extent == 8); OK(MPI_File_get_type_extent(f, MPI_LONG, &extent)); CHECK(extent == 4);
    // distances in bytes are the file's: 4 to the double, 12 to the next
    places[1] = 4; MPI_Type_create_struct(2, blocks, places, parts, &t); MPI_Type_create_resized(t, 0, 12, &whole); MPI_Type_free(&t); MPI_Type_vector(1, 1, size, whole, &t); MPI_Type_create_resized(t, 0, 12 * size, &ft); MPI_Type_commit(&whole); MPI_Type_commit(&ft); MPI_Type_free(&t);
    OK(MPI_File_set_view(f, 12 * rank, whole, ft, "external32", MPI_INFO_NULL)); for (int i = 0; i < 6; i++) x[i].i = rank * 100 + i + r, x[i].d = x[i].i / 4.0; OK(MPI_File_write_all(f, x, 6, memory, &s)); CHECK(count_of(&s, memory) == 6);
    OK(MPI_File_get_position(f, &at)); CHECK(at == 6); OK(MPI_File_get_view(f, &at, &e, &t, rep)); CHECK(!strcmp(rep, "external32") && at == 12 * rank); MPI_Type_free(&e); MPI_Type_free(&t); OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); OK(MPI_File_sync(f));
    memset(y, 0, sizeof y); OK(MPI_File_read_at_all(f, 2, y, 3, memory, &s)); for (int i = 0; i < 3; i++) CHECK(y[i].i == x[i + 2].i && y[i].d == x[i + 2].d); OK(MPI_File_read_at(f, 5, y, 4, memory, &s)); CHECK(count_of(&s, memory) == 1 && y[0].i == x[5].i);
    // distances in items: those of the file, so that a row of longs has 4 bytes each
    MPI_Type_vector(2, 1, 2, MPI_LONG, &t); MPI_Type_commit(&t); OK(MPI_File_get_type_extent(f, t, &extent)); CHECK(extent == 12); MPI_Type_free(&t); MPI_Barrier(MPI_COMM_WORLD);
    OK(MPI_File_set_view(f, 0, MPI_BYTE, MPI_BYTE, "native", MPI_INFO_NULL)); unsigned char raw[12]; for (int who = 0; who < size; who++) for (int k = 0; k < 6; k++) {
        OK(MPI_File_read_at(f, 12 * (k * size + who), raw, 12, MPI_BYTE, &s)); n = who * 100 + k + r; CHECK((raw[0] << 24 | raw[1] << 16 | raw[2] << 8 | raw[3]) == n); unsigned long bits = 0; for (int j = 0; j < 8; j++) bits = bits << 8 | raw[4 + j]; double d; memcpy(&d, &bits, 8); CHECK(d == n / 4.0); }
    CHECK(class_of(MPI_File_set_view(f, 0, MPI_BYTE, MPI_BYTE, "other", MPI_INFO_NULL)) == MPI_ERR_UNSUPPORTED_DATAREP); MPI_Type_free(&memory); MPI_Type_free(&whole); MPI_Type_free(&ft); OK(MPI_File_close(&f)); MPI_Barrier(MPI_COMM_WORLD); if (!rank) OK(MPI_File_delete(path, MPI_INFO_NULL)); MPI_Barrier(MPI_COMM_WORLD);
}

static int failed; static void on_error(MPI_File *f, int *code, ...) { failed = class_of(*code); }

static void errors(int r)
{
    MPI_File f; MPI_Errhandler h, old; int x = 1; MPI_Status s; path[strlen(path) - 1] = '4'; MPI_File_get_errhandler(MPI_FILE_NULL, &old); CHECK(old == MPI_ERRORS_RETURN); OK(MPI_File_open(MPI_COMM_SELF, path, MPI_MODE_CREATE | MPI_MODE_WRONLY, MPI_INFO_NULL, &f));
    MPI_File_create_errhandler(on_error, &h); MPI_File_set_errhandler(f, h); failed = 0; MPI_File_read(f, &x, 1, MPI_INT, &s); CHECK(failed == MPI_ERR_ACCESS || failed == MPI_ERR_AMODE); failed = 0; MPI_File_write(f, &x, -1, MPI_INT, &s); CHECK(failed != 0);
    MPI_Errhandler_free(&h); OK(MPI_File_close(&f)); MPI_Barrier(MPI_COMM_WORLD); if (!rank) MPI_File_delete(path, MPI_INFO_NULL); MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    int rounds = atoi(argv[2]), pause = argc > 3 ? atoi(argv[3]) : 0; MPI_Init(&argc, &argv); MPI_Comm_rank(MPI_COMM_WORLD, &rank); MPI_Comm_size(MPI_COMM_WORLD, &size);
    char journal[4096]; snprintf(journal, sizeof journal, "%s/journal", argv[1]); snprintf(path, sizeof path, "%s/file0", argv[1]); MPI_File f; MPI_Status s;
    OK(MPI_File_open(MPI_COMM_WORLD, journal, MPI_MODE_CREATE | MPI_MODE_RDWR, MPI_INFO_NULL, &f)); OK(MPI_File_set_view(f, 0, MPI_INT, MPI_INT, "native", MPI_INFO_NULL));
    for (int r = 0; r < rounds; r++) {
        current = r; offsets(r); views(r); shared(r); external(r); errors(r); int record[2] = { r, rank }; OK(MPI_File_write_ordered(f, record, 2, MPI_INT, &s));
        if (!rank) { printf("round %d\n", r); fflush(stdout); } if (pause) { struct timespec d = { pause / 1000, pause % 1000 * 1000000L }; nanosleep(&d, 0); }
    }
    OK(MPI_File_sync(f)); MPI_Barrier(MPI_COMM_WORLD); MPI_Offset bytes; OK(MPI_File_get_size(f, &bytes)); CHECK(bytes == 8LL * rounds * size); int *all = malloc(bytes); OK(MPI_File_read_at_all(f, 0, all, 2 * rounds * size, MPI_INT, &s));
    for (int i = 0; i < rounds * size; i++) CHECK(all[2 * i] == i / size && all[2 * i + 1] == i % size);
    OK(MPI_File_close(&f)); MPI_Barrier(MPI_COMM_WORLD); if (!rank) printf("ok\n"); MPI_Finalize(); return 0;
}
