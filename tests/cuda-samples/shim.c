// Preloaded into the CUDA samples by `soak samples` (tests/soak-samples.sh), which are NVIDIA's and stay as they are. It stands between the program (and NVIDIA's
// libraries in it, each with a runtime of its own) and libcuda.so.1, at the driver's functions: what asks dlsym or cuGetProcAddress for one of those below gets ours.
//   TRECR_SHIM_DIR   a folder outside of the job. The program's start adds a line with a random number to `starts`, its end the same number to `ends`: a restart
//                    keeps the number, a new start would not. `counts` gets the launches, the other calls, and the questions about the device. `state` gets what the program saw: a line for each
//                    copy to the host and each piece of memory that it gave back, with length and hash.
//   TRECR_SHIM_MODE  count    nothing else
//                    null     kernels are not launched: a sample that then still says that it passed has no check of its own
//                    nullcopy copies to the host bring nothing
//                    nullask  questions about the device succeed and say nothing
//                    hold     before launch (or other call, or question) TRECR_SHIM_AT, e.g. "launch 3", makes `held` and waits for `go`
//   TRECR_SHIM_MASK  "BYTES STRIDE AT LENGTH": in device memory of BYTES that is given back, LENGTH bytes at AT of each STRIDE count as zeroes (addresses that the order of threads decides)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long long u64;
enum { IN_HOST = 1, CHUNK = 4 << 20, LONGEST = 64 << 20 };

static const char *directory, *mode = "count";
static char wanted_kind;
static long wanted_number, launches, calls, questions;
static u64 nonce, masked_bytes, masked_stride, masked_at, masked_length;
static pid_t owner;

// ---- what was seen --------------------------------------------------------------------------------------------------------------------

struct piece { char kind; u64 bytes, hash; };
struct block { char kind; u64 address, bytes; };
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static struct piece *pieces;
static struct block *blocks;
static long piece_count, piece_room, block_count, block_room;

static u64 hash_of(u64 h, const unsigned char *p, u64 n)
{
    for (; n >= 8; n -= 8, p += 8) {
        u64 w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    for (; n; n--) h = (h ^ *p++) * 0x100000001b3ull;
    return h;
}

static void saw(char kind, u64 bytes, u64 hash)
{
    pthread_mutex_lock(&gate);
    if (piece_count == piece_room) pieces = realloc(pieces, (piece_room = piece_room * 2 + 64) * sizeof *pieces);
    pieces[piece_count++] = (struct piece){kind, bytes, hash};
    pthread_mutex_unlock(&gate);
}

static void born(char kind, u64 address, u64 bytes)
{
    pthread_mutex_lock(&gate);
    if (block_count == block_room) blocks = realloc(blocks, (block_room = block_room * 2 + 64) * sizeof *blocks);
    blocks[block_count++] = (struct block){kind, address, bytes};
    pthread_mutex_unlock(&gate);
}

static int forget(u64 address, struct block *found)
{
    int is_there = 0;
    pthread_mutex_lock(&gate);
    for (long i = block_count - 1; i >= 0 && !is_there; i--)
        if (blocks[i].address == address) { *found = blocks[i]; blocks[i] = blocks[--block_count]; is_there = 1; }
    pthread_mutex_unlock(&gate);
    return is_there;
}

// ---- the driver's own functions -------------------------------------------------------------------------------------------------------

static void *(*real_dlsym)(void *, const char *);

static void find_dlsym(void)
{
    if (!real_dlsym && !(real_dlsym = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34"))) real_dlsym = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
}

static void *find(const char *name)
{
    static void *driver;
    find_dlsym();
    if (!driver) driver = dlopen("libcuda.so.1", RTLD_NOW);
    void *found = driver ? real_dlsym(driver, name) : NULL;
    if (!found) { fprintf(stderr, "shim: no %s\n", name); abort(); }
    return found;
}

static int is(const char *m) { return !strcmp(mode, m); }

// ---- files and the hold ---------------------------------------------------------------------------------------------------------------

static void add_line(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int f = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (f < 0) return;
    if (write(f, text, strlen(text)) < 0) { }
    close(f);
}

__attribute__((constructor)) static void begin(void)
{
    char line[64];
    directory = getenv("TRECR_SHIM_DIR");
    if (getenv("TRECR_SHIM_MODE")) mode = getenv("TRECR_SHIM_MODE");
    const char *at = getenv("TRECR_SHIM_AT");
    if (at && *at) { wanted_kind = *at; wanted_number = atol(strchr(at, ' ') + 1); }
    const char *mask = getenv("TRECR_SHIM_MASK");
    if (mask && (sscanf(mask, "%llu %llu %llu %llu", &masked_bytes, &masked_stride, &masked_at, &masked_length) != 4 || !masked_stride || masked_bytes > CHUNK || masked_at + masked_length > masked_stride)) abort();
    if (!directory) return;
    owner = getpid();
    if (getrandom(&nonce, sizeof nonce, 0) < 0) abort();
    snprintf(line, sizeof line, "%llx\n", nonce);
    add_line("starts", line);
    unsetenv("LD_PRELOAD"); // programs that a sample starts are not counted
}

__attribute__((destructor)) static void end(void)
{
    char line[96];
    if (!directory || getpid() != owner) return; // a forked child
    snprintf(line, sizeof line, "%llx\n", nonce);
    add_line("ends", line);
    snprintf(line, sizeof line, "%ld %ld %ld\n", launches, calls, questions);
    add_line("counts", line);
    char path[512];
    snprintf(path, sizeof path, "%s/state", directory);
    FILE *f = fopen(path, "we");
    if (!f) return;
    for (long i = 0; i < piece_count; i++) fprintf(f, "%c %llu %016llx\n", pieces[i].kind, pieces[i].bytes, pieces[i].hash);
    fclose(f);
}

static void hold(void)
{
    char path[512];
    add_line("held", "");
    snprintf(path, sizeof path, "%s/go", directory);
    while (access(path, F_OK)) nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static void count(char kind)
{
    if (!directory || getpid() != owner) return;
    long number = __atomic_add_fetch(kind == 'l' ? &launches : kind == 'c' ? &calls : &questions, 1, __ATOMIC_SEQ_CST);
    if (is("hold") && kind == wanted_kind && number == wanted_number) hold();
}

// ---- looking at memory ----------------------------------------------------------------------------------------------------------------

static int (*driver_copy)(void *, u64, size_t);

// At most LONGEST bytes of device memory.
static void look_at_device(char kind, u64 address, u64 bytes)
{
    static __thread unsigned char *room;
    if (!driver_copy) driver_copy = find("cuMemcpyDtoH_v2");
    if (!room) room = malloc(CHUNK);
    u64 h = bytes, n = bytes < LONGEST ? bytes : LONGEST;
    for (u64 done = 0; done < n; done += CHUNK) {
        u64 part = n - done < CHUNK ? n - done : CHUNK;
        if (driver_copy(room, address + done, part)) return;
        if (bytes == masked_bytes)
            for (u64 at = masked_at; at + masked_length <= bytes; at += masked_stride) memset(room + at, 0, masked_length);
        h = hash_of(h, room, part);
    }
    saw(kind, bytes, h);
}

static void look_at_host(char kind, const void *from, u64 bytes) { saw(kind, bytes, hash_of(bytes, from, bytes < LONGEST ? bytes : LONGEST)); }

// Rows of a copy of two or three dimensions.
static void look_at_rows(const unsigned char *to, u64 pitch, u64 rows_of_slice, u64 width, u64 height, u64 depth)
{
    u64 h = width * height * depth;
    for (u64 z = 0; z < depth; z++)
        for (u64 y = 0; y < height; y++) h = hash_of(h, to + (z * rows_of_slice + y) * pitch, width);
    saw('h', width * height * depth, h);
}

// After an asynchronous copy: its work must be done, unless the stream only notes it down.
static int finished(u64 stream, int per_thread)
{
    static int (*capturing[2])(u64, int *), (*wait[2])(u64);
    int status = 0;
    if (!wait[per_thread]) {
        capturing[per_thread] = find(per_thread ? "cuStreamIsCapturing_ptsz" : "cuStreamIsCapturing");
        wait[per_thread] = find(per_thread ? "cuStreamSynchronize_ptsz" : "cuStreamSynchronize");
    }
    return !capturing[per_thread](stream, &status) && !status && !wait[per_thread](stream);
}

// Whether a plain address lies in memory that only the device has.
static int is_device(const void *address)
{
    static int (*ask)(void *, int, u64);
    unsigned type = 0, managed = 0;
    if (!ask) ask = find("cuPointerGetAttribute");
    return !ask(&type, 2, (u64)address) && type == 2 && (ask(&managed, 8, (u64)address) || !managed);
}

static void gone(u64 address)
{
    struct block b;
    if (!forget(address, &b)) return;
    if (b.kind == 'd') look_at_device('d', b.address, b.bytes);
    else {
        static int (*wait)(void);
        if (!wait) wait = find("cuCtxSynchronize");
        if (!wait()) look_at_host(b.kind, (void *)b.address, b.bytes);
    }
}

// ---- the functions --------------------------------------------------------------------------------------------------------------------

// HOOK: under its own symbol, for programs linked with -lcuda. BOTH: with the per-thread form as well; `pt` says which one runs. `real` is the driver's.
#define ONE(symbol, form, parameters, ...) \
    int symbol parameters { static int (*real) parameters; const int pt = form; (void)pt; if (!real) real = find(#symbol); __VA_ARGS__ }
#define HOOK(symbol, parameters, ...) ONE(symbol, 0, parameters, __VA_ARGS__)
#define BOTH(symbol, suffix, parameters, ...) ONE(symbol, 0, parameters, __VA_ARGS__) ONE(symbol##suffix, 1, parameters, __VA_ARGS__)
#define UNLAUNCHED { count('l'); if (is("null")) return 0; }
#define LOOK(copy, look) { count('c'); if (is("nullcopy")) return 0; int r = copy; if (!r) { look; } return r; }

BOTH(cuLaunchKernel, _ptsz, (void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned s, u64 st, void **p, void **x), UNLAUNCHED return real(f, a, b, c, d, e, g, s, st, p, x);)
BOTH(cuLaunchCooperativeKernel, _ptsz, (void *f, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned g, unsigned s, u64 st, void **p), UNLAUNCHED return real(f, a, b, c, d, e, g, s, st, p);)
BOTH(cuLaunchKernelEx, _ptsz, (const void *config, void *f, void **p, void **x), UNLAUNCHED return real(config, f, p, x);)
BOTH(cuGraphLaunch, _ptsz, (void *g, u64 st), UNLAUNCHED return real(g, st);)
HOOK(cuLaunchCooperativeKernelMultiDevice, (void *list, unsigned n, unsigned flags), UNLAUNCHED return real(list, n, flags);)

BOTH(cuMemcpyDtoH_v2, _ptds, (void *to, u64 from, size_t n), LOOK(real(to, from, n), look_at_host('h', to, n)))
BOTH(cuMemcpyDtoHAsync_v2, _ptsz, (void *to, u64 from, size_t n, u64 st), LOOK(real(to, from, n, st), if (finished(st, pt)) look_at_host('h', to, n)))
BOTH(cuMemcpy, _ptds, (void *to, const void *from, size_t n), if (is_device(to)) return real(to, from, n); LOOK(real(to, from, n), look_at_host('h', to, n)))
BOTH(cuMemcpyAsync, _ptsz, (void *to, const void *from, size_t n, u64 st), if (is_device(to)) return real(to, from, n, st); LOOK(real(to, from, n, st), if (finished(st, pt)) look_at_host('h', to, n)))
BOTH(cuMemcpyAtoH_v2, _ptds, (void *to, void *array, size_t at, size_t n), LOOK(real(to, array, at, n), look_at_host('h', to, n)))

struct copy2d {
    size_t sx, sy; unsigned sk; const void *sh; u64 sd; void *sa; size_t sp;
    size_t dx, dy; unsigned dk; unsigned char *dh; u64 dd; void *da; size_t dp;
    size_t width, height;
};
struct copy3d {
    size_t sx, sy, sz, sl; unsigned sk; const void *sh; u64 sd; void *sa, *s0; size_t sp, sr;
    size_t dx, dy, dz, dl; unsigned dk; unsigned char *dh; u64 dd; void *da, *d0; size_t dp, dr;
    size_t width, height, depth;
};
#define TO_HOST(c) ((c)->dk == IN_HOST)
#define ROWS2(c) look_at_rows((c)->dh + (c)->dy * (c)->dp + (c)->dx, (c)->dp, (c)->height, (c)->width, (c)->height, 1)
#define ROWS3(c) look_at_rows((c)->dh + ((c)->dz * (c)->dr + (c)->dy) * (c)->dp + (c)->dx, (c)->dp, (c)->dr, (c)->width, (c)->height, (c)->depth)

BOTH(cuMemcpy2D_v2, _ptds, (const struct copy2d *c), if (!TO_HOST(c)) return real(c); LOOK(real(c), ROWS2(c)))
BOTH(cuMemcpy2DUnaligned_v2, _ptds, (const struct copy2d *c), if (!TO_HOST(c)) return real(c); LOOK(real(c), ROWS2(c)))
BOTH(cuMemcpy2DAsync_v2, _ptsz, (const struct copy2d *c, u64 st), if (!TO_HOST(c)) return real(c, st); LOOK(real(c, st), if (finished(st, pt)) ROWS2(c)))
BOTH(cuMemcpy3D_v2, _ptds, (const struct copy3d *c), if (!TO_HOST(c)) return real(c); LOOK(real(c), ROWS3(c)))
BOTH(cuMemcpy3DAsync_v2, _ptsz, (const struct copy3d *c, u64 st), if (!TO_HOST(c)) return real(c, st); LOOK(real(c, st), if (finished(st, pt)) ROWS3(c)))

// New memory holds no zeroes that a kernel might have been meant to write: its contents are undefined.
static void spoil(u64 address, u64 bytes)
{
    static int (*fill)(u64, unsigned char, size_t);
    if (!fill) fill = find("cuMemsetD8_v2");
    if (bytes <= LONGEST) fill(address, 0xa5, bytes);
}

HOOK(cuMemAlloc_v2, (u64 *p, size_t n), count('c'); int r = real(p, n); if (!r) { born('d', *p, n); spoil(*p, n); } return r;)
HOOK(cuMemAllocPitch_v2, (u64 *p, size_t *pitch, size_t w, size_t h, unsigned e), count('c'); int r = real(p, pitch, w, h, e); if (!r) born('d', *p, *pitch * h); return r;)
HOOK(cuMemAllocManaged, (u64 *p, size_t n, unsigned flags), count('c'); int r = real(p, n, flags); if (!r) born('m', *p, n); return r;)
HOOK(cuMemHostAlloc, (void **p, size_t n, unsigned flags), count('c'); int r = real(p, n, flags); if (!r) born('p', (u64)*p, n); return r;)
HOOK(cuMemAllocHost_v2, (void **p, size_t n), count('c'); int r = real(p, n); if (!r) born('p', (u64)*p, n); return r;)
HOOK(cuMemHostRegister_v2, (void *p, size_t n, unsigned flags), count('c'); int r = real(p, n, flags); if (!r) born('p', (u64)p, n); return r;)
HOOK(cuMemFree_v2, (u64 p), count('c'); gone(p); return real(p);)
HOOK(cuMemMap, (u64 p, size_t n, size_t at, u64 memory, u64 flags), count('c'); int r = real(p, n, at, memory, flags); if (!r) born('d', p, n); return r;)
HOOK(cuMemUnmap, (u64 p, size_t n), count('c'); gone(p); return real(p, n);)
HOOK(cuMemFreeHost, (void *p), count('c'); gone((u64)p); return real(p);)
HOOK(cuMemHostUnregister, (void *p), count('c'); gone((u64)p); return real(p);)
BOTH(cuMemAllocAsync, _ptsz, (u64 *p, size_t n, u64 st), count('c'); return real(p, n, st);)

HOOK(cuCtxSynchronize, (void), count('c'); return real();)
BOTH(cuStreamSynchronize, _ptsz, (u64 st), count('c'); return real(st);)
HOOK(cuEventSynchronize, (u64 e), count('c'); return real(e);)
BOTH(cuEventRecord, _ptsz, (u64 e, u64 st), count('c'); return real(e, st);)

// Samples take the seed of their random numbers from it: two runs would have nothing alike.
time_t time(time_t *to)
{
    if (to) *to = 1;
    return 1;
}

HOOK(cuDeviceGetAttribute, (int *value, int attribute, int device), count('q'); if (is("nullask")) { *value = 0; return 0; } return real(value, attribute, device);)
HOOK(cuDeviceGetName, (char *name, int n, int device), count('q'); if (is("nullask")) { memset(name, 0, n); return 0; } return real(name, n, device);)

static void *ours(const char *name, int per_thread);
int cuGetProcAddress(const char *name, void **function, int version, u64 flags);
int cuGetProcAddress_v2(const char *name, void **function, int version, u64 flags, int *status);

// cudart asks for this very function first, and all others through what it gets.
#define SUBSTITUTE { void *hook = r || !function || !*function ? NULL : ours(name, flags & 2 ? 1 : 0); if (hook) *function = version >= 12000 && hook == (void *)cuGetProcAddress ? (void *)cuGetProcAddress_v2 : hook; }

int cuGetProcAddress(const char *name, void **function, int version, u64 flags)
{
    static int (*real)(const char *, void **, int, u64);
    if (!real) real = find("cuGetProcAddress");
    int r = real(name, function, version, flags);
    SUBSTITUTE
    return r;
}

int cuGetProcAddress_v2(const char *name, void **function, int version, u64 flags, int *status)
{
    static int (*real)(const char *, void **, int, u64, int *);
    if (!real) real = find("cuGetProcAddress_v2");
    int r = real(name, function, version, flags, status);
    SUBSTITUTE
    return r;
}

// Base name, symbol, and both forms.
static const struct { const char *base, *symbol; void *form[2]; } table[] = {
#define H(base, symbol) {#base, #symbol, {symbol, NULL}},
#define B(base, symbol, suffix) {#base, #symbol, {symbol, symbol##suffix}},
    B(cuLaunchKernel, cuLaunchKernel, _ptsz) B(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel, _ptsz) B(cuLaunchKernelEx, cuLaunchKernelEx, _ptsz) B(cuGraphLaunch, cuGraphLaunch, _ptsz)
    H(cuLaunchCooperativeKernelMultiDevice, cuLaunchCooperativeKernelMultiDevice)
    B(cuMemcpyDtoH, cuMemcpyDtoH_v2, _ptds) B(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2, _ptsz) B(cuMemcpy, cuMemcpy, _ptds) B(cuMemcpyAsync, cuMemcpyAsync, _ptsz) B(cuMemcpyAtoH, cuMemcpyAtoH_v2, _ptds)
    B(cuMemcpy2D, cuMemcpy2D_v2, _ptds) B(cuMemcpy2DUnaligned, cuMemcpy2DUnaligned_v2, _ptds) B(cuMemcpy2DAsync, cuMemcpy2DAsync_v2, _ptsz) B(cuMemcpy3D, cuMemcpy3D_v2, _ptds) B(cuMemcpy3DAsync, cuMemcpy3DAsync_v2, _ptsz)
    H(cuMemAlloc, cuMemAlloc_v2) H(cuMemAllocPitch, cuMemAllocPitch_v2) H(cuMemAllocManaged, cuMemAllocManaged) H(cuMemHostAlloc, cuMemHostAlloc) H(cuMemAllocHost, cuMemAllocHost_v2)
    H(cuMemMap, cuMemMap) H(cuMemUnmap, cuMemUnmap)
    H(cuMemHostRegister, cuMemHostRegister_v2) H(cuMemFree, cuMemFree_v2) H(cuMemFreeHost, cuMemFreeHost) H(cuMemHostUnregister, cuMemHostUnregister) B(cuMemAllocAsync, cuMemAllocAsync, _ptsz)
    H(cuCtxSynchronize, cuCtxSynchronize) B(cuStreamSynchronize, cuStreamSynchronize, _ptsz) H(cuEventSynchronize, cuEventSynchronize) B(cuEventRecord, cuEventRecord, _ptsz)
    H(cuDeviceGetAttribute, cuDeviceGetAttribute) H(cuDeviceGetName, cuDeviceGetName)
    H(cuGetProcAddress, cuGetProcAddress)
};

static void *ours(const char *name, int per_thread)
{
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].base, name)) {
            return table[i].form[per_thread && table[i].form[1]];
        }
    return NULL;
}

void *dlsym(void *handle, const char *name)
{
    find_dlsym();
    // A tail call: what RTLD_NEXT means depends on who calls.
    if (handle == RTLD_NEXT || handle == RTLD_DEFAULT || name[0] != 'c' || name[1] != 'u') return real_dlsym(handle, name);
    void *found = real_dlsym(handle, name);
    if (!found) return NULL;
    if (!strcmp(name, "cuGetProcAddress_v2")) return cuGetProcAddress_v2;
    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].symbol, name)) return table[i].form[0];
    return found;
}
