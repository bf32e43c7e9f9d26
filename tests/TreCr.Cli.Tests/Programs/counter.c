// Counts: writes a random nonce at its start, adds one to a start counter outside the job, then one line a step, from two threads in turn.
//   counter START_FILE STEPS HOLD_FILE     waits before the last step until HOLD_FILE exists ("-": does not wait)
// Before step N it waits while the file HOLD_FILE.pauseN exists.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static unsigned long nonce, sum;
static int steps, at;
static const char *hold;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static unsigned char *block;
#ifndef BLOCK_MIB
#define BLOCK_MIB 4
#endif
enum { BLOCK = BLOCK_MIB << 20 };

// By its name alone: a file that is open at a checkpoint would be missed at the restart.
static int paused(void)
{
    char file[4096];
    snprintf(file, sizeof file, "%s.pause%d", hold, at);
    return strcmp(hold, "-") && !access(file, F_OK);
}

static void *worker(void *arg)
{
    int me = (int)(long)arg;
    pthread_mutex_lock(&lock);
    while (at < steps) {
        if (at % 2 != me) { pthread_cond_wait(&turn, &lock); continue; }
        if (paused()) { pthread_mutex_unlock(&lock); usleep(2000); pthread_mutex_lock(&lock); continue; }
        if (at == steps - 1 && strcmp(hold, "-"))
            while (access(hold, F_OK)) { pthread_mutex_unlock(&lock); usleep(2000); pthread_mutex_lock(&lock); }
        for (int i = 0; i < BLOCK; i += 4096) block[i] = (unsigned char)(block[i] * 5 + at);
        for (int i = 0; i < BLOCK; i += 4096) sum = sum * 31 + block[i];
        printf("step %d sum %016lx\n", at, sum);
        fflush(stdout);
        at++;
        pthread_cond_broadcast(&turn);
        pthread_mutex_unlock(&lock);
        usleep(20000);
        pthread_mutex_lock(&lock);
    }
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int count = 0;
    FILE *f = fopen(argv[1], "r");
    if (f) { if (fscanf(f, "%d", &count) != 1) count = 0; fclose(f); }
    f = fopen(argv[1], "w");
    if (!f) return 3;
    fprintf(f, "%d\n", count + 1);
    fclose(f);
    if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) return 4;
    steps = atoi(argv[2]);
    hold = argv[3];
    block = malloc(BLOCK);
    unsigned x = 2463534242u; // xorshift32: the same in every run, and no compressor makes it smaller
    for (int i = 0; i < BLOCK; i++) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; block[i] = (unsigned char)(x >> 11); }
    printf("nonce %016lx pid %d\n", nonce, (int)getpid());
    fflush(stdout);
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, worker, (void *)i);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("end nonce %016lx pid %d\n", nonce, (int)getpid());
    return 7;
}
