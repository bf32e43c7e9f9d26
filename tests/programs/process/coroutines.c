// Two threads run coroutines on small stacks, one right above the other in one area: what lies below a stack that is in use is another's data, and nothing may stay changed there.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/random.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { STACKS = 16, STACK = 8192, FREE = 5120, WORDS = FREE / 4 }; // of each stack so many bytes are never used
typedef struct { char *area; ucontext_t main, own[STACKS]; int current; } Ring;
static unsigned nonce; static char out[4096]; static volatile int ended; static Ring rings[2];
static unsigned *unused(Ring *r, int i) { return (unsigned *)(r->area + i * STACK); }
static void check(Ring *r) { for (int i = 0; i < STACKS; i++) for (int w = 0; w < WORDS; w++) CHECK(unused(r, i)[w] == (nonce ^ (i * WORDS + w))); }
static void body(int which)
{
    Ring *r = &rings[which];
    for (;;)
    {
        struct pollfd p = { 0, POLLIN, 0 };
        if (which == 0 ? poll(&p, 1, 2) != 0 : (poll(0, 0, 2), ended)) break; // stands here nearly all the time, on this stack
        check(r);
        int at = r->current; r->current = (at + 5) % STACKS; swapcontext(&r->own[at], &r->own[r->current]);
    }
    if (which == 0) ended = 1;
    swapcontext(&r->own[r->current], &r->main);
}
static void *run(void *a)
{
    Ring *r = a; r->area = mmap(0, STACKS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(r->area != MAP_FAILED);
    for (int i = 0; i < STACKS; i++)
    {
        for (int w = 0; w < WORDS; w++) unused(r, i)[w] = nonce ^ (i * WORDS + w);
        CHECK(getcontext(&r->own[i]) == 0); r->own[i].uc_stack.ss_sp = r->area + i * STACK; r->own[i].uc_stack.ss_size = STACK; makecontext(&r->own[i], (void (*)(void))body, 1, (int)(r - rings));
    }
    CHECK(poll(0, 0, 0) == 0); CHECK(swapcontext(&r->main, &r->own[0]) == 0); // resolved on a large stack
    check(r); return 0;
}
int main(void)
{
    setvbuf(stdout, out, _IOLBF, sizeof out); CHECK(getrandom(&nonce, 4, 0) == 4); pthread_t t; CHECK(pthread_create(&t, 0, run, &rings[1]) == 0);
    printf("ready %08x\n", nonce); run(&rings[0]); CHECK(pthread_join(t, 0) == 0);
    printf("done %08x\n", nonce); return 0;
}
