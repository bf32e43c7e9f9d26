// sessions ROUNDS [MILLISECONDS]: MPI without MPI_Init: sessions that begin and end, one that stays, communicators made of process sets and of groups of both, error handlers; again and again. Prints "round N" at rank 0 after each and "ok" at the end. Any number of ranks; MPI 4.0.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rank, size, current, handled;
#define CHECK(c) do { if (!(c)) { printf("rank %d, round %d: %s:%d: %s\n", rank, current, __FILE__, __LINE__, #c); fflush(stdout); exit(3); } } while (0)
static void handler(MPI_Session *s, int *code, ...) { handled = *code; }

static MPI_Comm whole(MPI_Session s, const char *tag)
{
    MPI_Group g; MPI_Comm c; CHECK(!MPI_Group_from_session_pset(s, "mpi://WORLD", &g)); CHECK(!MPI_Comm_create_from_group(g, tag, MPI_INFO_NULL, MPI_ERRORS_RETURN, &c)); MPI_Group_free(&g); return c;
}

static void one_session(MPI_Comm kept)
{
    MPI_Session s; MPI_Info info, used; MPI_Errhandler own; char text[64]; int n, length, flag, found = 0; MPI_Info_create(&info); MPI_Info_set(info, "thread_level", current % 2 ? "MPI_THREAD_MULTIPLE" : "MPI_THREAD_SINGLE");
    MPI_Session_create_errhandler(handler, &own); CHECK(!MPI_Session_init(info, own, &s)); CHECK(s != MPI_SESSION_NULL); MPI_Info_free(&info);
    MPI_Session_get_info(s, &used); length = sizeof text; MPI_Info_get_string(used, "thread_level", &length, text, &flag); CHECK(flag && !strncmp(text, "MPI_THREAD_", 11)); MPI_Info_free(&used);
    MPI_Session_get_num_psets(s, MPI_INFO_NULL, &n); CHECK(n >= 2);
    for (int i = 0; i < n; i++) { length = 0; MPI_Session_get_nth_pset(s, MPI_INFO_NULL, i, &length, NULL); CHECK(length > 1 && length < 64); MPI_Session_get_nth_pset(s, MPI_INFO_NULL, i, &length, text); CHECK((int)strlen(text) + 1 == length); if (!strcmp(text, "mpi://WORLD")) found |= 1; if (!strcmp(text, "mpi://SELF")) found |= 2; }
    CHECK(found == 3); MPI_Session_get_pset_info(s, "mpi://WORLD", &used); length = sizeof text; MPI_Info_get_string(used, "mpi_size", &length, text, &flag); CHECK(flag && atoi(text) == size); MPI_Info_free(&used);
    MPI_Group g;
#ifndef MPI_PLAIN // MPICH 4.0.2 takes every error of a session for fatal
    handled = 0; MPI_Session_call_errhandler(s, MPI_ERR_OTHER); CHECK(handled == MPI_ERR_OTHER); handled = 0; CHECK(MPI_Group_from_session_pset(s, "mpi://none", &g) != MPI_SUCCESS && handled);
#endif
    // alone
    MPI_Comm self, c, inter; CHECK(!MPI_Group_from_session_pset(s, "mpi://SELF", &g)); MPI_Group_size(g, &n); CHECK(n == 1); CHECK(!MPI_Comm_create_from_group(g, "alone", MPI_INFO_NULL, MPI_ERRORS_RETURN, &self)); MPI_Comm_size(self, &n); CHECK(n == 1); MPI_Comm_free(&self); MPI_Group_free(&g);
    // all, and the even and the odd ones, each with a communicator, and one between them
    c = whole(s, "round"); int sum, v = rank + current; CHECK(!MPI_Allreduce(&v, &sum, 1, MPI_INT, MPI_SUM, c)); CHECK(sum == size * (size - 1) / 2 + size * current); MPI_Comm_free(&c);
    if (size > 1) {
        MPI_Group all, part, other; MPI_Group_from_session_pset(s, "mpi://WORLD", &all); int range[2][3] = { { 0, (size - 1) / 2 * 2, 2 }, { 1, size / 2 * 2 - 1, 2 } }; MPI_Group_range_incl(all, 1, &range[rank % 2], &part); MPI_Group_range_incl(all, 1, &range[1 - rank % 2], &other);
        CHECK(!MPI_Comm_create_from_group(part, "halves", MPI_INFO_NULL, MPI_ERRORS_RETURN, &c)); MPI_Comm_size(c, &n); CHECK(n == (rank % 2 ? size / 2 : (size + 1) / 2)); CHECK(!MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_MAX, c)); CHECK(sum == range[rank % 2][1]); MPI_Comm_free(&c);
        CHECK(!MPI_Intercomm_create_from_groups(part, 0, other, 0, "between", MPI_INFO_NULL, MPI_ERRORS_RETURN, &inter)); MPI_Comm_remote_size(inter, &n); CHECK(n == (rank % 2 ? (size + 1) / 2 : size / 2)); CHECK(!MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_MAX, inter)); CHECK(sum == range[1 - rank % 2][1]); MPI_Comm_free(&inter);
        MPI_Group_free(&all); MPI_Group_free(&part); MPI_Group_free(&other);
    }
    MPI_Errhandler_free(&own); CHECK(!MPI_Session_finalize(&s)); CHECK(s == MPI_SESSION_NULL); MPI_Initialized(&flag); CHECK(!flag);
    v = 1; CHECK(!MPI_Allreduce(&v, &sum, 1, MPI_INT, MPI_SUM, kept)); CHECK(sum == size);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 3, pause = argc > 2 ? atoi(argv[2]) : 0; MPI_Session s; MPI_Comm kept; CHECK(!MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &s)); kept = whole(s, "kept"); MPI_Comm_rank(kept, &rank); MPI_Comm_size(kept, &size);
    for (current = 0; current < rounds; current++) {
        one_session(kept); if (!rank) { printf("round %d\n", current); fflush(stdout); } if (pause) { struct timespec t = { 0, pause * 1000000L }; nanosleep(&t, 0); }
    }
    MPI_Comm_free(&kept); CHECK(!MPI_Session_finalize(&s)); int flag; MPI_Finalized(&flag); CHECK(!flag);
#ifndef MPI_PLAIN // and once more, when there was none: MPICH 4.0.2 crashes
    CHECK(!MPI_Session_init(MPI_INFO_NULL, MPI_ERRORS_ARE_FATAL, &s)); kept = whole(s, "again"); MPI_Barrier(kept); MPI_Comm_free(&kept); MPI_Session_finalize(&s);
#endif
    if (!rank) printf("ok\n"); return 0;
}
