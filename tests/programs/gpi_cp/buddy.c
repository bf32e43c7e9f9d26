/* The program itself finds out who has died and makes the new group, as GPI_CP's own tests do (main_single_checkpoint, main_segment_id). buddy POLICY SPARE VICTIM
   All ranks but SPARE take checkpoints; VICTIM ends by _exit between start and commit of the third one; SPARE takes its place. Every rank checks its own bytes, those that it can read back from its mirror, and those that it holds for
   another. Each prints "ok PLACE". */
#define _GNU_SOURCE
#include <gpi_cp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(x) do { if (!(x)) { printf("rank %d line %d: %s\n", rank, __LINE__, #x); exit(1); } } while (0)
#define GOOD(call) CHECK((call) == GASPI_SUCCESS)

enum { Bytes = 100003, Offset = 24 };

static gaspi_rank_t rank, count;
static unsigned char *memory;
static gpi_cp_description_t description;

static unsigned char byte_of(int place, int version, int i) { return (unsigned char)(place * 31 + version * 7 + i % 251); }

static void fill(int place, int version) {
    for (int i = 0; i < Bytes; i++) memory[i] = byte_of(place, version, i);
}

static int holds(const unsigned char *bytes, int place, int version) {
    for (int i = 0; i < Bytes; i++)
        if (bytes[i] != byte_of(place, version, i)) return 0;
    return 1;
}

static gaspi_rank_t mirror_of(gaspi_rank_t place, gaspi_rank_t places, void *data) { return (place + *(int *)data) % places; }

static gaspi_return_t wait_commit(void) {
    gaspi_return_t result;
    while ((result = gpi_cp_commit(description, GASPI_TEST)) == GASPI_TIMEOUT) { }
    return result;
}

static void look(gpi_cp_policy_t policy, int place, int places, int version) {
    unsigned char *receiver = gpi_cp_get_receiver_ptr(description);
    gaspi_offset_t active = gpi_cp_get_active_snapshot(description);
    int from = policy == GPI_CP_POLICY_RING ? (place + places - 1) % places : policy == GPI_CP_POLICY_RING_LEFT ? (place + 1) % places : policy == GPI_CP_POLICY_USER ? (place + places - 2) % places : -1;
    CHECK(receiver && (active == 0 || active == Bytes));
    if (from >= 0) CHECK(holds(receiver + (Bytes - active), from, version));
    GOOD(gpi_cp_read_buddy(description, GASPI_BLOCK));
    CHECK(holds(receiver + active, place, version));
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    gpi_cp_policy_t policy = (gpi_cp_policy_t)atoi(argv[1]);
    int spare = atoi(argv[2]), victim = atoi(argv[3]), step = 2, place;
    gaspi_segment_id_t segment = 77;
    gaspi_group_t group;
    gaspi_pointer_t pointer;
    GOOD(gaspi_proc_init(GASPI_BLOCK));
    GOOD(gaspi_proc_rank(&rank));
    GOOD(gaspi_proc_num(&count));
    for (int i = 0; i < rank; i++) GOOD(gaspi_segment_alloc(i, 64, GASPI_MEM_UNINITIALIZED)); /* numbers differ between the ranks */
    GOOD(gpi_cp_get_unused_segment_id(&segment));
    CHECK(segment == rank);
    GOOD(gaspi_segment_alloc(segment, Offset + Bytes, GASPI_MEM_UNINITIALIZED));
    GOOD(gaspi_segment_ptr(segment, &pointer));
    memory = (unsigned char *)pointer + Offset;
    description = GPI_CP_DESCRIPTION_INITIALIZER();
    GOOD(gpi_cp_set_mirror(description, mirror_of, &step));
    unsigned char *states = malloc(count);
    place = rank < spare ? rank : rank - 1;
    if (rank != spare) {
        GOOD(gaspi_group_create(&group));
        for (int i = 0; i < count; i++)
            if (i != spare) GOOD(gaspi_group_add(group, i));
        GOOD(gaspi_group_commit(group, GASPI_BLOCK));
        GOOD(gpi_cp_init(segment, Offset, Bytes, 0, policy, group, description, GASPI_BLOCK));
        GOOD(gpi_cp_commit(description, GASPI_BLOCK)); /* nothing was started */
        for (int version = 1; version <= 2; version++) {
            fill(place, version);
            GOOD(gpi_cp_start(description, GASPI_BLOCK));
            CHECK(gpi_cp_get_state_in_progress(description));
            GOOD(wait_commit());
            CHECK(!gpi_cp_get_state_in_progress(description));
        }
        GOOD(gaspi_barrier(group, GASPI_BLOCK)); /* nobody looks before all have committed, nor goes on before all have looked */
        look(policy, place, count - 1, 2);
        GOOD(gaspi_barrier(group, GASPI_BLOCK));
        fill(place, 3);
        GOOD(gpi_cp_start(description, GASPI_BLOCK));
        if (rank == victim) _exit(0);
        CHECK(wait_commit() == GASPI_ERROR);
        GOOD(gaspi_group_delete(group));
    }
    do GOOD(gaspi_state_vec_get(states)); while (states[victim] != 1);
    if (rank == spare) place = victim < spare ? victim : victim - 1;
    GOOD(gaspi_group_create(&group));
    for (int i = 0; i < count; i++)
        if (states[i] == 0) GOOD(gaspi_group_add(group, i));
    GOOD(gaspi_group_commit(group, GASPI_BLOCK));
    GOOD(gpi_cp_restore(segment, Offset, Bytes, 0, policy, group, description, GASPI_BLOCK));
    gaspi_rank_t mine;
    GOOD(gpi_cp_get_place(description, &mine));
    CHECK(mine == place && holds(memory, place, 2)); /* those that survived were at 3 */
    fill(place, 4);
    GOOD(gpi_cp_start(description, GASPI_BLOCK));
    GOOD(wait_commit());
    GOOD(gaspi_barrier(group, GASPI_BLOCK));
    look(policy, place, count - 1, 4);
    GOOD(gaspi_barrier(group, GASPI_BLOCK));
    GOOD(gpi_cp_finalize(description, GASPI_BLOCK));
    free(description);
    free(states);
    printf("ok %d\n", place);
    return gaspi_proc_term(GASPI_BLOCK);
}
