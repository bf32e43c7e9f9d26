// 64 MiB that are restored lazily, in a program that does nothing but fork: each child compares all of it, at once. The only events of its memory are forks. A child that found a page of zeroes would end it.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
#define PAGES 16384UL
int main(void)
{
    unsigned long nonce; setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 8, 0) == 8);
    unsigned long *area = mmap(0, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); CHECK(area != MAP_FAILED);
    for (unsigned long p = 0; p < PAGES; p++) area[p * 512] = area[p * 512 + 511] = (p * 6364136223846793005UL ^ nonce) | 1;
    printf("ready %016lx\n", nonce); struct pollfd pf = { 0, POLLIN, 0 };
    while (poll(&pf, 1, 0) == 0) {
        pid_t child = fork(); CHECK(child >= 0);
        if (!child) { for (unsigned long p = PAGES; p-- > 0;) CHECK(area[p * 512] == ((p * 6364136223846793005UL ^ nonce) | 1) && area[p * 512 + 511] == area[p * 512]); _exit(0); }
        int status = -1; CHECK(waitpid(child, &status, 0) == child && status == 0);
        usleep(1000);
    }
    printf("done %016lx\n", nonce); return 0;
}
