/* GPI_CP's interface (1.0): published names and values, declared for TreCr's libgpi_cp.so, with additions of ours at the end. docs/api.md says what each call does here. */
#ifndef TRECR_GPI_CP_H
#define TRECR_GPI_CP_H

#include <stdbool.h>

#include "GASPI.h"

/* Bytes of a segment, of which all ranks of a group keep two generations in each other's memory. */
typedef struct gpi_cp_description *gpi_cp_description_t;

/* Whose memory holds whose mirror. The last three are ours. */
typedef enum {
    GPI_CP_POLICY_RING = 1,
    GPI_CP_POLICY_RING_LEFT = 2,
    GPI_CP_POLICY_PAIRS = 3,
    GPI_CP_POLICY_USER = 4
} gpi_cp_policy_t;

/* The original's own; no call here returns them. */
typedef enum {
    GPI_CP_SUCCESS = 19000,
    GPI_CP_ERROR_UNEXPECTED_SEGMENT_ID_SOURCE = 19001,
    GPI_CP_ERROR_UNEXPECTED_SEGMENT_ID_RECEIVER = 19002,
    GPI_CP_ERROR_UNDEFINED_RANK = 19003
} gpi_cp_error_codes;

#ifdef __cplusplus
extern "C" {
#endif

/* A new description, which the program frees with free(), after gpi_cp_finalize. */
#ifdef __cplusplus
gpi_cp_description_t GPI_CP_DESCRIPTION_INITIALIZER();
#else
gpi_cp_description_t GPI_CP_DESCRIPTION_INITIALIZER(void);
#endif

gaspi_return_t gpi_cp_version(float *version);

/* All ranks of the group. Size and policy are the same on all of them; segment and offset are each one's own. */
gaspi_return_t gpi_cp_init(const gaspi_segment_id_t segment, const gaspi_offset_t offset, const gaspi_size_t size, const gaspi_queue_id_t queue, const gpi_cp_policy_t policy, const gaspi_group_t group, gpi_cp_description_t description, const gaspi_timeout_t timeout);

/* Returns at once; the bytes must not change until gpi_cp_commit has returned GASPI_SUCCESS. */
gaspi_return_t gpi_cp_start(gpi_cp_description_t description, const gaspi_timeout_t timeout);

/* All ranks of the group: from here on, what was started is what a restore brings back. */
gaspi_return_t gpi_cp_commit(gpi_cp_description_t description, const gaspi_timeout_t timeout);

/* All ranks of the new group, as many as the old one had: brings back what was committed last. A rank that is new has a new description. */
gaspi_return_t gpi_cp_restore(const gaspi_segment_id_t segment, const gaspi_offset_t offset, const gaspi_size_t size, const gaspi_queue_id_t queue, const gpi_cp_policy_t policy, const gaspi_group_t new_group, gpi_cp_description_t description, const gaspi_timeout_t timeout);

gaspi_return_t gpi_cp_finalize(const gpi_cp_description_t description, const gaspi_timeout_t timeout);

/* What this rank has committed last, into the half at gpi_cp_get_receiver_ptr() + gpi_cp_get_active_snapshot(). */
gaspi_return_t gpi_cp_read_buddy(const gpi_cp_description_t description, const gaspi_timeout_t timeout);

bool gpi_cp_get_state_in_progress(const gpi_cp_description_t description);
gaspi_offset_t gpi_cp_get_active_snapshot(const gpi_cp_description_t description);
gaspi_pointer_t gpi_cp_get_receiver_ptr(const gpi_cp_description_t description);
gaspi_return_t gpi_cp_get_unused_segment_id(gaspi_segment_id_t *segment);

/* ---- ours ---- */

/* The place of a rank that is no member, and of a spare that is not needed any more. */
#define GPI_CP_NO_PLACE ((gaspi_rank_t)-1)

/* Members call it when a member is gone, spares with GASPI_GROUP_ALL at any time: ends with a new group, in which spares stand in the places of the dead. gpi_cp_restore is next. */
gaspi_return_t gpi_cp_takeover(const gaspi_group_t group, gaspi_group_t *new_group, gaspi_rank_t *place, const gaspi_timeout_t timeout);

/* Which member of the group of gpi_cp_init this rank stands for, from 0. */
gaspi_return_t gpi_cp_get_place(const gpi_cp_description_t description, gaspi_rank_t *place);

/* Of checkpoints that are under way at a time, those of higher priority are copied first; 0 where nothing is said. */
gaspi_return_t gpi_cp_set_priority(gpi_cp_description_t description, const int priority);

/* For GPI_CP_POLICY_USER, before gpi_cp_init: gives the place of the mirror of a place. The same on all ranks. */
typedef gaspi_rank_t (*gpi_cp_mirror_t)(gaspi_rank_t place, gaspi_rank_t count, void *data);
gaspi_return_t gpi_cp_set_mirror(gpi_cp_description_t description, gpi_cp_mirror_t mirror, void *data);

#ifdef __cplusplus
}
#endif

#endif
