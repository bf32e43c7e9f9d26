/* The part of GASPI (specification 17.1) that programs of GPI_CP use: published names and values, declared for TreCr's libgpi_cp.so. docs/api.md says what each call does here, and what is not there.
   Every function returns GASPI_SUCCESS, GASPI_TIMEOUT (call it again: it goes on where it was), or another value and says on standard error what went wrong. */
#ifndef TRECR_GASPI_H
#define TRECR_GASPI_H

#include <stdarg.h>
#include <stdio.h>

typedef unsigned char gaspi_group_t;
typedef unsigned short gaspi_rank_t;
typedef unsigned char gaspi_segment_id_t;
typedef unsigned char gaspi_queue_id_t;
typedef unsigned long gaspi_size_t;
typedef unsigned long gaspi_offset_t;
typedef unsigned long gaspi_timeout_t;
typedef unsigned int gaspi_number_t;
typedef unsigned int gaspi_notification_id_t;
typedef unsigned int gaspi_notification_t;
typedef unsigned long gaspi_alloc_t;
typedef int gaspi_memory_description_t;
typedef void *gaspi_pointer_t;
typedef void *gaspi_const_pointer_t;
typedef char *gaspi_string_t;
typedef unsigned char *gaspi_state_vector_t;

/* Milliseconds; these two are no times. */
#define GASPI_BLOCK ((gaspi_timeout_t)-1)
#define GASPI_TEST ((gaspi_timeout_t)0)

#define GASPI_GROUP_ALL ((gaspi_group_t)0)

typedef enum {
    GASPI_ERROR = -1,
    GASPI_SUCCESS = 0,
    GASPI_TIMEOUT = 1,
    GASPI_ERR_EMFILE = 2,
    GASPI_ERR_ENV = 3,
    GASPI_ERR_SN_PORT = 4,
    GASPI_ERR_CONFIG = 5,
    GASPI_ERR_NOINIT = 6,
    GASPI_ERR_INITED = 7,
    GASPI_ERR_NULLPTR = 8,
    GASPI_ERR_INV_SEGSIZE = 9,
    GASPI_ERR_INV_SEG = 10,
    GASPI_ERR_INV_GROUP = 11,
    GASPI_ERR_INV_RANK = 12,
    GASPI_ERR_INV_QUEUE = 13,
    GASPI_ERR_INV_LOC_OFF = 14,
    GASPI_ERR_INV_REM_OFF = 15,
    GASPI_ERR_INV_COMMSIZE = 16,
    GASPI_ERR_INV_NOTIF_VAL = 17,
    GASPI_ERR_INV_NOTIF_ID = 18,
    GASPI_ERR_INV_NUM = 19,
    GASPI_ERR_INV_SIZE = 20,
    GASPI_ERR_MANY_SEG = 21,
    GASPI_ERR_MANY_GRP = 22,
    GASPI_QUEUE_FULL = 23,
    GASPI_ERR_UNALIGN_OFF = 24,
    GASPI_ERR_ACTIVE_COLL = 25,
    GASPI_ERR_DEVICE = 26,
    GASPI_ERR_SN = 27,
    GASPI_ERR_MEMALLOC = 28
} gaspi_return_t;

enum { GASPI_MEM_UNINITIALIZED = 0, GASPI_MEM_INITIALIZED = 1 };
enum { GASPI_STATE_HEALTHY = 0, GASPI_STATE_CORRUPT = 1 };
typedef enum { GASPI_OP_MIN = 0, GASPI_OP_MAX = 1, GASPI_OP_SUM = 2 } gaspi_operation_t;
typedef enum { GASPI_TYPE_INT = 0, GASPI_TYPE_UINT = 1, GASPI_TYPE_FLOAT = 2, GASPI_TYPE_DOUBLE = 3, GASPI_TYPE_LONG = 4, GASPI_TYPE_ULONG = 5 } gaspi_datatype_t;

#ifdef __cplusplus
extern "C" {
#endif

/* Processes. Which rank this is comes from gaspi_run, mpirun or srun; alone it is rank 0 of 1. */
gaspi_return_t gaspi_proc_init(gaspi_timeout_t timeout);
gaspi_return_t gaspi_proc_term(gaspi_timeout_t timeout);
gaspi_return_t gaspi_initialized(gaspi_number_t *initialized);
gaspi_return_t gaspi_proc_rank(gaspi_rank_t *rank);
gaspi_return_t gaspi_proc_num(gaspi_rank_t *count);
gaspi_return_t gaspi_proc_kill(gaspi_rank_t rank, gaspi_timeout_t timeout);
gaspi_return_t gaspi_proc_ping(gaspi_rank_t rank, gaspi_timeout_t timeout);
/* A byte for each rank. */
gaspi_return_t gaspi_state_vec_get(gaspi_state_vector_t states);

/* Groups. */
gaspi_return_t gaspi_group_create(gaspi_group_t *group);
gaspi_return_t gaspi_group_add(gaspi_group_t group, gaspi_rank_t rank);
gaspi_return_t gaspi_group_commit(gaspi_group_t group, gaspi_timeout_t timeout);
gaspi_return_t gaspi_group_delete(gaspi_group_t group);
gaspi_return_t gaspi_group_num(gaspi_number_t *count);
gaspi_return_t gaspi_group_size(gaspi_group_t group, gaspi_number_t *count);
/* Ascending; of a group of gpi_cp_takeover by place. */
gaspi_return_t gaspi_group_ranks(gaspi_group_t group, gaspi_rank_t *ranks);

/* Segments. */
gaspi_return_t gaspi_segment_alloc(gaspi_segment_id_t segment, gaspi_size_t size, gaspi_alloc_t policy);
gaspi_return_t gaspi_segment_register(gaspi_segment_id_t segment, gaspi_rank_t rank, gaspi_timeout_t timeout);
gaspi_return_t gaspi_segment_create(gaspi_segment_id_t segment, gaspi_size_t size, gaspi_group_t group, gaspi_timeout_t timeout, gaspi_alloc_t policy);
gaspi_return_t gaspi_segment_bind(gaspi_segment_id_t segment, gaspi_pointer_t address, gaspi_size_t size, gaspi_memory_description_t description);
gaspi_return_t gaspi_segment_use(gaspi_segment_id_t segment, gaspi_pointer_t address, gaspi_size_t size, gaspi_group_t group, gaspi_timeout_t timeout, gaspi_memory_description_t description);
gaspi_return_t gaspi_segment_delete(gaspi_segment_id_t segment);
gaspi_return_t gaspi_segment_ptr(gaspi_segment_id_t segment, gaspi_pointer_t *address);
gaspi_return_t gaspi_segment_size(gaspi_segment_id_t segment, gaspi_rank_t rank, gaspi_size_t *size);
gaspi_return_t gaspi_segment_num(gaspi_number_t *count);
gaspi_return_t gaspi_segment_max(gaspi_number_t *count);
gaspi_return_t gaspi_segment_list(gaspi_number_t count, gaspi_segment_id_t *segments);

/* One-sided communication. */
gaspi_return_t gaspi_write(gaspi_segment_id_t own, gaspi_offset_t own_offset, gaspi_rank_t rank, gaspi_segment_id_t segment, gaspi_offset_t offset, gaspi_size_t size, gaspi_queue_id_t queue, gaspi_timeout_t timeout);
gaspi_return_t gaspi_read(gaspi_segment_id_t own, gaspi_offset_t own_offset, gaspi_rank_t rank, gaspi_segment_id_t segment, gaspi_offset_t offset, gaspi_size_t size, gaspi_queue_id_t queue, gaspi_timeout_t timeout);
gaspi_return_t gaspi_notify(gaspi_segment_id_t segment, gaspi_rank_t rank, gaspi_notification_id_t notification, gaspi_notification_t value, gaspi_queue_id_t queue, gaspi_timeout_t timeout);
gaspi_return_t gaspi_write_notify(gaspi_segment_id_t own, gaspi_offset_t own_offset, gaspi_rank_t rank, gaspi_segment_id_t segment, gaspi_offset_t offset, gaspi_size_t size, gaspi_notification_id_t notification, gaspi_notification_t value, gaspi_queue_id_t queue, gaspi_timeout_t timeout);
gaspi_return_t gaspi_notify_waitsome(gaspi_segment_id_t segment, gaspi_notification_id_t first, gaspi_number_t count, gaspi_notification_id_t *found, gaspi_timeout_t timeout);
gaspi_return_t gaspi_notify_reset(gaspi_segment_id_t segment, gaspi_notification_id_t notification, gaspi_notification_t *value);
gaspi_return_t gaspi_wait(gaspi_queue_id_t queue, gaspi_timeout_t timeout);
gaspi_return_t gaspi_queue_num(gaspi_number_t *count);
gaspi_return_t gaspi_queue_size(gaspi_queue_id_t queue, gaspi_number_t *size);
gaspi_return_t gaspi_queue_size_max(gaspi_number_t *size);

/* Passive communication. */
gaspi_return_t gaspi_passive_send(gaspi_segment_id_t segment, gaspi_offset_t offset, gaspi_rank_t rank, gaspi_size_t size, gaspi_timeout_t timeout);
gaspi_return_t gaspi_passive_receive(gaspi_segment_id_t segment, gaspi_offset_t offset, gaspi_rank_t *rank, gaspi_size_t size, gaspi_timeout_t timeout);

/* Collective calls. */
gaspi_return_t gaspi_barrier(gaspi_group_t group, gaspi_timeout_t timeout);
gaspi_return_t gaspi_allreduce(gaspi_const_pointer_t given, gaspi_pointer_t result, gaspi_number_t count, gaspi_operation_t operation, gaspi_datatype_t type, gaspi_group_t group, gaspi_timeout_t timeout);

/* Not to be freed. */
gaspi_string_t gaspi_error_str(gaspi_return_t code);

/* printf with the rank in front. In the header: a library that is not written in C cannot export it. */
static inline void gaspi_printf(const char *format, ...) {
    gaspi_rank_t rank = 0;
    va_list arguments;
    gaspi_proc_rank(&rank);
    va_start(arguments, format);
    printf("[%u] ", rank);
    vprintf(format, arguments);
    va_end(arguments);
    fflush(stdout);
}

#ifdef __cplusplus
}
#endif

#endif
