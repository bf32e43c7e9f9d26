// Holds values in the registers of one kind, in two threads, never in memory, until standard input closes; then compares them. 77: this processor does not have them.
//   vector ymm|zmm|tile     ymm: also rounding modes and the x87 stack; zmm: also opmasks; tile: AMX, whose permission a new thread has at the end too
#define _GNU_SOURCE
#include <cpuid.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s\n", __LINE__, #c); fflush(stdout); _exit(1); } } while (0)
enum { SIZE = 8192, REQ_PERM = 0x1023, GET_PERM = 0x1022, TILE_DATA = 18 };
struct hold { unsigned char in[SIZE], out[SIZE]; volatile int *stop; };
// (in, out, stop): loads all registers, runs and makes system calls until *stop, stores them. Vector registers, opmasks and tiles are the caller's to save (System V ABI).
void hold_ymm(const void *, void *, volatile int *), hold_zmm(const void *, void *, volatile int *), hold_tile(const void *, void *, volatile int *);
__asm__(
    ".text\n"
    ".macro wait_for_stop\n 7: mov $1000, %r9d\n 8: pause\n dec %r9d\n jnz 8b\n mov $24, %eax\n syscall\n cmpl $0, (%rdx)\n je 7b\n .endm\n" // sched_yield
    "hold_ymm:\n sub $24, %rsp\n stmxcsr (%rsp)\n fnstcw 4(%rsp)\n ldmxcsr (%rdi)\n fldcw 4(%rdi)\n fldpi\n fldl2e\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu 64+32*\\n(%rdi), %ymm\\n\n .endr\n"
    "wait_for_stop\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n vmovdqu %ymm\\n, 64+32*\\n(%rsi)\n .endr\n"
    "stmxcsr (%rsi)\n fnstcw 4(%rsi)\n fstpt 16(%rsi)\n fstpt 32(%rsi)\n vzeroupper\n ldmxcsr (%rsp)\n fldcw 4(%rsp)\n add $24, %rsp\n ret\n"
    "hold_zmm:\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n vmovdqu64 64+64*\\n(%rdi), %zmm\\n\n .endr\n"
    ".irp n, 0,1,2,3,4,5,6,7\n kmovq 8*\\n(%rdi), %k\\n\n .endr\n"
    "wait_for_stop\n"
    ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n vmovdqu64 %zmm\\n, 64+64*\\n(%rsi)\n .endr\n"
    ".irp n, 0,1,2,3,4,5,6,7\n kmovq %k\\n, 8*\\n(%rsi)\n .endr\n vzeroupper\n ret\n"
    "hold_tile:\n ldtilecfg (%rdi)\n mov $64, %r8\n"
    ".irp n, 0,1,2,3,4,5,6,7\n lea 64+1024*\\n(%rdi), %rax\n tileloadd (%rax,%r8,1), %tmm\\n\n .endr\n"
    "wait_for_stop\n mov $64, %r8\n sttilecfg (%rsi)\n"
    ".irp n, 0,1,2,3,4,5,6,7\n lea 64+1024*\\n(%rsi), %rax\n tilestored %tmm\\n, (%rax,%r8,1)\n .endr\n tilerelease\n ret\n");
static void (*hold)(const void *, void *, volatile int *); static size_t used; static unsigned nonce; static volatile int stop; static struct hold held[3] __attribute__((aligned(64)));
static void *run(void *a) { struct hold *h = a; hold(h->in, h->out, h->stop); return 0; }
static int agrees(struct hold *h) { return !memcmp(h->in + 64, h->out + 64, used - 64); }
static int near(void *at, long double value) { long double d = *(long double *)at - value; return d < 1e-15L && d > -1e-15L; }
static int has_tiles(void) { unsigned a, b, c, d; return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && syscall(SYS_arch_prctl, REQ_PERM, TILE_DATA) == 0; }
int main(int argc, char **argv)
{
    setvbuf(stdout, 0, _IOLBF, 0); const char *kind = argc > 1 ? argv[1] : ""; CHECK(getrandom(&nonce, 4, 0) == 4);
    int tile = !strcmp(kind, "tile"), there = tile ? has_tiles() : !strcmp(kind, "zmm") ? __builtin_cpu_supports("avx512bw") : __builtin_cpu_supports("avx2");
    if (!there) { printf("no %s\n", kind); return 77; }
    hold = tile ? hold_tile : !strcmp(kind, "zmm") ? hold_zmm : hold_ymm; used = 64 + (tile ? 8 * 1024 - 64 : !strcmp(kind, "zmm") ? 32 * 64 : 16 * 32);
    volatile int at_once = 1; pthread_t t[3];
    for (int i = 0; i < 3; i++) {
        for (size_t at = 0; at < SIZE; at += 256) CHECK(getrandom(held[i].in + at, 256, 0) == 256);
        held[i].stop = i < 2 ? &stop : &at_once;
        if (hold == hold_ymm) { unsigned modes = 0x1f80 | (i + 1) << 13; unsigned short x87 = 0x037f & ~0x0300 | (i + 1) << 10; memcpy(held[i].in, &modes, 4); memcpy(held[i].in + 4, &x87, 2); }
        if (tile) { memset(held[i].in, 0, 64); held[i].in[0] = 1; for (int n = 0; n < 8; n++) { held[i].in[16 + 2 * n] = 64; held[i].in[48 + n] = n < 7 ? 16 : 15; } } // rows: the last tile's end lies in the buffer
    }
    if (tile) used = 64 + 7 * 1024 + 15 * 64;
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&t[i], 0, run, &held[i]) == 0);
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    while (poll(&pf, 1, 1000) == 0);
    stop = 1; for (int i = 0; i < 2; i++) CHECK(pthread_join(t[i], 0) == 0 && agrees(&held[i]));
    if (hold == hold_ymm) for (int i = 0; i < 2; i++) CHECK(!memcmp(held[i].in, held[i].out, 6) && near(held[i].out + 16, 1.442695040888963407L) && near(held[i].out + 32, 3.141592653589793238L));
    if (hold == hold_zmm) for (int i = 0; i < 2; i++) CHECK(!memcmp(held[i].in, held[i].out, 64));
    unsigned long permitted = 0; if (tile) CHECK(syscall(SYS_arch_prctl, GET_PERM, &permitted) == 0 && (permitted >> TILE_DATA & 1));
    CHECK(pthread_create(&t[2], 0, run, &held[2]) == 0 && pthread_join(t[2], 0) == 0 && agrees(&held[2]));
    printf("done %08x\n", nonce); return 0;
}
