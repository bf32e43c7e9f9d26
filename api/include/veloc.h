/* VELOC's client interface (https://veloc.readthedocs.io): published names and values, declared for TreCr's libveloc-client.so. docs/api.md says what each call does here.
   Every function returns VELOC_SUCCESS or VELOC_FAILURE where nothing else is said, and says on standard error what went wrong. One thread at a time. */
#ifndef TRECR_VELOC_H
#define TRECR_VELOC_H

#include <stddef.h>

#if !defined(VELOC_WITHOUT_MPI) && defined(__has_include)
#if __has_include(<mpi.h>)
#include <mpi.h>
#define VELOC_HAS_MPI 1
#endif
#endif

#define VELOC_SUCCESS (0)
#define VELOC_FAILURE (-1)
#define VELOC_MAX_NAME (1024)

#define VELOC_CKPT_ALL (0)
#define VELOC_CKPT_SOME (1)
#define VELOC_CKPT_REST (2)
#define VELOC_RECOVER_ALL (0)
#define VELOC_RECOVER_SOME (1)
#define VELOC_RECOVER_REST (2)

#ifdef __cplusplus
extern "C" {
#endif

#ifdef VELOC_HAS_MPI
/* Collective over the communicator. cfg: path of the configuration file; "": the environment alone (VELOC_MODE, VELOC_SCRATCH, ...). */
int VELOC_Init(MPI_Comm comm, const char *cfg);
#endif
/* One process for itself; id tells its files from those of others. */
int VELOC_Init_single(unsigned int id, const char *cfg);
/* drain: waits until what was handed over has been flushed, and returns that result. */
int VELOC_Finalize(int drain);

int VELOC_Mem_protect(int id, void *ptr, size_t count, size_t base_size);
int VELOC_Mem_unprotect(int id);
int VELOC_Mem_clear(void);
int VELOC_Region_protect(int id, void *ptr, size_t count, size_t base_size, const char *name);
int VELOC_Region_unprotect(int id, const char *name);
int VELOC_Region_clear(const char *name);

/* routed: at least VELOC_MAX_NAME bytes. */
int VELOC_Route_file(const char *original, char *routed);
int VELOC_Cleanup(const char *name);

int VELOC_Checkpoint_begin(const char *name, int version);
int VELOC_Checkpoint_mem(void);
int VELOC_Checkpoint_selective(int mode, int *ids, int n);
int VELOC_Checkpoint_end(int success);
int VELOC_Checkpoint_wait(void);
/* 0: all has been flushed; -1: not yet. */
int VELOC_Checkpoint_finished(void);
int VELOC_Checkpoint(const char *name, int version);

/* The newest version up to the given one (0: any) that every rank can restore; -1: none. Collective after VELOC_Init. */
int VELOC_Restart_test(const char *name, int version);
/* Collective after VELOC_Init. */
int VELOC_Restart_begin(const char *name, int version);
int VELOC_Recover_mem(void);
int VELOC_Recover_selective(int mode, int *ids, int n);
/* Saved bytes of a region; -1: it has none; INT_MAX: as many or more. */
int VELOC_Recover_size(int id);
int VELOC_Restart_end(int success);
int VELOC_Restart(const char *name, int version);

/* VELOC-GPU's longer form of VELOC_Mem_protect: with five or six arguments it is called where VELOC_GPU is defined before this header.
   READ_ONLY: the memory does not change until VELOC_Checkpoint_wait or _finished. DEFAULT: a copy is taken first. Async mode writes both behind the program. */
typedef int (*release_routine)(void);
int VELOC_Mem_protect_flags(int id, void *ptr, size_t count, size_t base_size, unsigned int flags, release_routine release);

#ifdef __cplusplus
}
#endif

#ifdef VELOC_GPU
#define DEFAULT (0)
#define READ_ONLY (1)
#define VELOC_PROTECT_4(id, ptr, count, size) VELOC_Mem_protect(id, ptr, count, size)
#define VELOC_PROTECT_5(id, ptr, count, size, flags) VELOC_Mem_protect_flags(id, ptr, count, size, flags, 0)
#define VELOC_PROTECT_6(id, ptr, count, size, flags, release) VELOC_Mem_protect_flags(id, ptr, count, size, flags, release)
#define VELOC_PROTECT_OF(a, b, c, d, e, f, which, ...) which
#define VELOC_Mem_protect(...) VELOC_PROTECT_OF(__VA_ARGS__, VELOC_PROTECT_6, VELOC_PROTECT_5, VELOC_PROTECT_4, 0)(__VA_ARGS__)
#endif

#endif
