/* Calls out of order, with arguments that mean nothing, or too early: each gives GASPI's own code, none ends or hangs the program, and what was committed is there afterwards. Two ranks; each ends with "ok". */
#include <gpi_cp.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(x) do { if (!(x)) { printf("rank %d line %d: %s\n", rank, __LINE__, #x); return 1; } } while (0)
#define GOOD(call) CHECK((call) == GASPI_SUCCESS)
#define GIVES(code, call) CHECK((call) == (code))

int main(void) {
    gaspi_rank_t rank = 9, count;
    gaspi_group_t group, other;
    gaspi_pointer_t pointer;
    gaspi_number_t number;
    gaspi_notification_id_t notification;
    gaspi_size_t size;
    gpi_cp_description_t description = GPI_CP_DESCRIPTION_INITIALIZER(), second = GPI_CP_DESCRIPTION_INITIALIZER();
    float version = 0;
    static long own[1000];
    GIVES(GASPI_ERR_NOINIT, gaspi_proc_rank(&rank));
    GIVES(GASPI_ERR_NOINIT, gpi_cp_start(description, GASPI_BLOCK));
    GIVES(GASPI_ERR_NOINIT, gaspi_proc_term(GASPI_BLOCK));
    CHECK(!gpi_cp_get_state_in_progress(description) && gpi_cp_get_active_snapshot(description) == 0 && !gpi_cp_get_receiver_ptr(description));
    GIVES(GASPI_ERROR, gpi_cp_version(NULL));
    GOOD(gpi_cp_version(&version));
    CHECK(version == 1.0f);
    GOOD(gaspi_proc_init(GASPI_BLOCK));
    GIVES(GASPI_ERR_INITED, gaspi_proc_init(GASPI_BLOCK));
    GOOD(gaspi_proc_rank(&rank));
    GOOD(gaspi_proc_num(&count));
    CHECK(count == 2);
    GIVES(GASPI_ERR_NULLPTR, gaspi_proc_rank(NULL));

    GIVES(GASPI_ERR_INV_GROUP, gaspi_barrier(9, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_GROUP, gaspi_group_add(GASPI_GROUP_ALL, 0));
    GOOD(gaspi_group_create(&group));
    GIVES(GASPI_ERR_INV_RANK, gaspi_group_add(group, 2));
    GOOD(gaspi_group_add(group, 0));
    GIVES(GASPI_ERR_INV_RANK, gaspi_group_add(group, 0));
    GIVES(GASPI_ERR_INV_GROUP, gaspi_barrier(group, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_GROUP, gpi_cp_init(0, 0, 8, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GOOD(gaspi_group_add(group, 1));
    GOOD(gaspi_group_commit(group, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_GROUP, gaspi_group_commit(group, GASPI_BLOCK));

    GIVES(GASPI_ERR_INV_SEG, gaspi_segment_ptr(5, &pointer));
    GIVES(GASPI_ERR_INV_SEGSIZE, gaspi_segment_alloc(5, 0, 0));
    GOOD(gaspi_segment_create(5, 4096, group, GASPI_BLOCK, 0));
    GIVES(GASPI_ERR_INV_SEG, gaspi_segment_alloc(5, 4096, 0));
    GOOD(gaspi_segment_bind(6, own, sizeof own, 0));
    GOOD(gaspi_segment_ptr(6, &pointer));
    CHECK(pointer == own);
    GOOD(gaspi_segment_num(&number));
    CHECK(number == 2);
    GOOD(gaspi_segment_size(5, 1 - rank, &size));
    CHECK(size == 4096);
    GIVES(GASPI_ERR_INV_SEG, gaspi_write(5, 0, 1 - rank, 6, 0, 8, 0, GASPI_BLOCK)); /* the program's own memory */
    GIVES(GASPI_ERR_INV_RANK, gaspi_write(5, 0, 2, 5, 0, 8, 0, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_LOC_OFF, gaspi_write(5, 5000, 1 - rank, 5, 0, 8, 0, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_REM_OFF, gaspi_write(5, 0, 1 - rank, 5, 5000, 8, 0, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_COMMSIZE, gaspi_write(5, 0, 1 - rank, 5, 4090, 8, 0, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_QUEUE, gaspi_write(5, 0, 1 - rank, 5, 0, 8, 99, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_NOTIF_ID, gaspi_notify(5, 1 - rank, 70000, 1, 0, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_NOTIF_VAL, gaspi_notify(5, 1 - rank, 7, 0, 0, GASPI_BLOCK));
    GIVES(GASPI_TIMEOUT, gaspi_notify_waitsome(5, 0, 10, &notification, 1));

    /* Nothing of this leaves a description behind that is half there; what only one rank does wrong fails on both. */
    GIVES(GASPI_ERR_NULLPTR, gpi_cp_init(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, NULL, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_init(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, (gpi_cp_description_t)own, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_SEG, gpi_cp_init(200, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_SIZE, gpi_cp_init(5, 8, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_SIZE, gpi_cp_init(5, 0, 0, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_init(5, 0, 4096, 0, (gpi_cp_policy_t)17, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_init(5, 0, 4096, 0, GPI_CP_POLICY_USER, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_init(5, 0, rank ? 4096 : 2048, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(rank ? GASPI_ERR_INV_SEG : GASPI_ERROR, gpi_cp_init(rank ? 200 : 5, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_start(description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_commit(description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_read_buddy(description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_restore(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));

    GOOD(gpi_cp_init(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_init(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GOOD(gpi_cp_init(6, 0, sizeof own, 0, GPI_CP_POLICY_PAIRS, group, second, GASPI_BLOCK));
    GOOD(gpi_cp_set_priority(second, 3));
    GIVES(GASPI_ERROR, gpi_cp_read_buddy(description, GASPI_BLOCK)); /* nothing is committed */
    GOOD(gaspi_segment_ptr(5, &pointer));
    memset(pointer, 'a' + rank, 4096);
    own[999] = 41 + rank;
    GOOD(gpi_cp_start(description, GASPI_BLOCK));
    GOOD(gpi_cp_start(second, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_start(description, GASPI_BLOCK));
    /* Rank 1 comes late: rank 0's commit times out, must be ended, and goes on. */
    if (rank == 0) {
        GIVES(GASPI_TIMEOUT, gpi_cp_commit(description, 1));
        CHECK(gpi_cp_get_state_in_progress(description));
        GIVES(GASPI_ERROR, gpi_cp_start(description, GASPI_BLOCK));
        GOOD(gaspi_notify(5, 1, 3, 1, 0, GASPI_BLOCK));
    } else GOOD(gaspi_notify_waitsome(5, 3, 1, &notification, GASPI_BLOCK));
    GOOD(gpi_cp_commit(description, GASPI_BLOCK));
    GOOD(gpi_cp_commit(second, GASPI_BLOCK));
    GOOD(gpi_cp_commit(second, GASPI_BLOCK));
    memset(pointer, 'x', 4096);
    own[999] = 0;
    GOOD(gaspi_group_create(&other));
    GOOD(gaspi_group_add(other, rank));
    GOOD(gaspi_group_commit(other, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_GROUP, gpi_cp_restore(5, 0, 4096, 0, GPI_CP_POLICY_RING, other, description, GASPI_BLOCK)); /* too few ranks */
    GIVES(GASPI_ERR_INV_SIZE, gpi_cp_restore(5, 0, 2048, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GOOD(gpi_cp_restore(5, 0, 4096, 0, GPI_CP_POLICY_RING, group, description, GASPI_BLOCK));
    GOOD(gpi_cp_restore(6, 0, sizeof own, 0, GPI_CP_POLICY_PAIRS, group, second, GASPI_BLOCK));
    CHECK(((char *)pointer)[0] == 'a' + rank && ((char *)pointer)[4095] == 'a' + rank && own[999] == 41 + rank);
    GIVES(GASPI_ERR_INV_RANK, gaspi_proc_kill(rank, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_RANK, gaspi_proc_ping(7, GASPI_BLOCK));
    GOOD(gaspi_passive_send(5, 0, 1 - rank, 16, GASPI_BLOCK));
    gaspi_rank_t from;
    GOOD(gaspi_passive_receive(5, 100, &from, 16, GASPI_BLOCK));
    CHECK(from == 1 - rank && ((char *)pointer)[100] == 'a' + 1 - rank && !strcmp(gaspi_error_str(GASPI_TIMEOUT), "Timeout"));
    GOOD(gpi_cp_finalize(second, GASPI_BLOCK));
    GIVES(GASPI_ERROR, gpi_cp_start(second, GASPI_BLOCK));
    GOOD(gpi_cp_start(description, GASPI_BLOCK));
    GOOD(gaspi_segment_delete(5)); /* waits for the copy */
    GOOD(gpi_cp_commit(description, GASPI_BLOCK));
    GIVES(GASPI_ERR_INV_SEG, gpi_cp_start(description, GASPI_BLOCK));
    GOOD(gpi_cp_finalize(description, GASPI_BLOCK));
    free(description);
    free(second);
    GIVES(GASPI_ERR_INV_SEG, gaspi_segment_delete(5));
    GOOD(gaspi_proc_term(GASPI_BLOCK));
    GIVES(GASPI_ERR_NOINIT, gaspi_barrier(GASPI_GROUP_ALL, GASPI_BLOCK));
    printf("ok\n");
    return 0;
}
