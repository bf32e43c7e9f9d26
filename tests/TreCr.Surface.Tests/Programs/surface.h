// What the cases share. A case is a named test of one or more functions of the driver API: it looks at effects and values, never only at a result code of 0.
// Functions are called through pointers of the same name, so that one can be replaced by "return success, do nothing" (main.c).
#pragma once
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef void (*host_function)(void *);
typedef void (*stream_callback)(u64 stream, int status, void *data);
typedef size_t (*shared_of)(int block_size);

typedef struct {
    size_t srcXInBytes, srcY; u32 srcMemoryType; const void *srcHost; u64 srcDevice, srcArray; size_t srcPitch;
    size_t dstXInBytes, dstY; u32 dstMemoryType; void *dstHost; u64 dstDevice, dstArray; size_t dstPitch;
    size_t WidthInBytes, Height;
} CUDA_MEMCPY2D;

typedef struct {
    size_t srcXInBytes, srcY, srcZ, srcLOD; u32 srcMemoryType; const void *srcHost; u64 srcDevice, srcArray, srcContext; size_t srcPitch, srcHeight;
    size_t dstXInBytes, dstY, dstZ, dstLOD; u32 dstMemoryType; void *dstHost; u64 dstDevice, dstArray, dstContext; size_t dstPitch, dstHeight;
    size_t WidthInBytes, Height, Depth;
} CUDA_MEMCPY3D;

typedef struct { u64 function; u32 gx, gy, gz, bx, by, bz, shared; void **parameters, **extra; u64 kernel, context; } kernel_node;
typedef struct { u64 dst; size_t pitch; u32 value, element; size_t width, height; } memset_node;
typedef struct { host_function function; void *data; } host_node;
typedef struct { int result; u64 error, error_from; } update_info;

enum { WAIT_32 = 1, WRITE_32 = 2, AT_LEAST = 0, EQUAL = 1 };
typedef struct { u32 operation, other_flags; u64 address, value; u32 flags, pad; u64 alias, rest; } memory_operation;
typedef struct { u64 context; u32 count; memory_operation *operations; u32 flags; } batch_node;
typedef struct { u64 function; u32 gx, gy, gz, bx, by, bz, shared; u64 stream; void **parameters; } launch_params;

typedef struct { int type, handle_types, location_type, location; void *windows; unsigned char rest[8]; } memory_properties;
typedef struct { int type, handle_types, location_type, location; char rest[72]; const int *access; size_t access_count, bytes; u64 address; } alloc_node;
typedef struct { size_t width, height; u32 format, channels; } array_shape;
typedef struct { size_t width, height, depth; u32 format, channels, flags; } box_shape;
typedef struct { u32 type; u64 handle; u32 format, channels; size_t size, height, pitch; char rest[88]; u32 flags; } resource_desc;
typedef struct { u32 address[3], filter, flags, anisotropy, mipmap_filter; float bias, min_level, max_level, border[4]; int rest[12]; } texture_desc;
typedef struct { u32 format; size_t width, height, depth; u32 first_level, last_level, first_layer, last_layer; int rest[16]; } view_desc;

typedef struct { unsigned char bytes[64]; } share_handle;

typedef struct { u32 id; char pad[4]; union { char bytes[64]; int value; } val; } launch_attribute;
typedef struct { u32 gx, gy, gz, bx, by, bz, shared; u64 stream; launch_attribute *attributes; u32 count; } launch_config;

#define F(name, elf, version, arguments) extern int(*name) arguments;
#include "functions.h"
#undef F

struct test {
    const char *name, *proves;
    void (*make)(void), (*check)(void);
    int early, made;
    struct test *next;
};
void add_test(struct test *t);

// CASE: makes and checks in one go, with the primary context of device 0 current. Runs once more after a restart.
// EARLY: the same before cuInit. KEPT with FOUND: what KEPT makes, FOUND must find, at once or after a restart in between.
#define ADD(id, proves, check, early) \
    static struct test test_##id = {#id, proves, id, check, early}; \
    __attribute__((constructor)) static void add_##id(void) { add_test(&test_##id); }
#define CASE(id, proves) static void id(void); ADD(id, proves, NULL, 0) static void id(void)
#define EARLY(id, proves) static void id(void); ADD(id, proves, NULL, 1) static void id(void)
#define KEPT(id, proves) static void id(void); static void found_##id(void); ADD(id, proves, found_##id, 0) static void id(void)
#define FOUND(id) static void found_##id(void)

_Noreturn void fail(const char *file, int line, const char *what, long long got, long long expected);
#define IS(expected, expression) do { long long got_ = (long long)(expression), want_ = (long long)(expected); if (got_ != want_) fail(__FILE__, __LINE__, #expression, got_, want_); } while (0)
#define OK(expression) IS(0, expression)
#define TRUE(expression) do { if (!(expression)) fail(__FILE__, __LINE__, #expression, 0, 1); } while (0)

extern int device;          // ordinal of the device under test
extern u64 primary_context; // its primary context
extern int after_restart;   // the program was restarted since KEPT made its things

void fill_random(void *to, size_t bytes);
u32 random_u32(void);       // odd
void *find_symbol(const char *name); // of the library, unreplaced

// Another process of this program, with the same function replaced, that makes calls when asked (peer.c). It ends with its socket.
enum peer_call { PEER_MAKE, PEER_FREE, PEER_OPEN, PEER_CLOSE, PEER_READ, PEER_WRITE, PEER_KERNEL, PEER_MAKE_EVENT, PEER_OPEN_EVENT, PEER_END_EVENT, PEER_RECORD, PEER_QUERY, PEER_WAIT, PEER_AWAIT_EVENT, PEER_OPEN_MAPPED,
    PEER_CLOSE_MAPPED, PEER_MAKE_MAPPED, PEER_OPEN_POOL, PEER_OPEN_POINTER, PEER_FREE_ASYNC };
#define PEER_WORDS 64
struct peer_request { enum peer_call call; u64 at, other; share_handle handle; u32 words[PEER_WORDS]; };
struct peer_answer { int result; u64 at, other; share_handle handle; u32 words[PEER_WORDS]; };
int peer_start(void);       // its socket
void peer_end(int peer);
struct peer_answer peer_ask(int peer, struct peer_request request, int file); // file: a descriptor to pass on; -1: none
int peer_file(int peer);    // the descriptor that came with the last answer
void peer_serve(int socket);
const char *replaced_function(void);

// Modules are made of text with constants drawn at the start. Kernels: affine(out, in, n): out[i] = in[i] * factor + term; gate(flag, out, value): waits until
// *flag != 0, then *out = value; shared(out): as affine but through dynamic shared memory; limited: at most 64 threads. Globals: table (16 words), ramp (const).
extern u32 factor, term, ramp[16];
const char *module_text(void);
u64 module(void);                       // loaded once for each context, on first use
u64 function(const char *name);
void run_affine(u64 out, u64 in, u32 n, u64 stream);
u64 device_words(const u32 *from, u32 n); // allocates and copies; NULL: zeroes
void words_are(u64 address, const u32 *expected, u32 n); // compares device memory
void affine_of(u32 *out, const u32 *in, u32 n);
