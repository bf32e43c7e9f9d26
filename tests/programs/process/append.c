// Appends numbered lines to a log and overwrites a header. After a restart the log must continue without gap or repetition.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <poll.h>
#include <errno.h>
#include <sys/random.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); exit(1); } } while (0)
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); unsigned nonce; CHECK(getrandom(&nonce, 4, 0) == 4);
    char log[64], head[64]; snprintf(log, 64, "/tmp/trecr-append-%08x.log", nonce); snprintf(head, 64, "/tmp/trecr-append-%08x.head", nonce);
    int f = open(log, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600), h = open(head, O_CREAT | O_TRUNC | O_RDWR, 0600); CHECK(f >= 0 && h >= 0);
    umask(027);
    printf("ready %08x\n", nonce);
    long n = 0; struct pollfd pf = { 0, POLLIN, 0 };
    do { char b[16]; int k = snprintf(b, 16, "%09ld\n", n); CHECK(write(f, b, k) == 10); n++; CHECK(pwrite(h, &n, 8, (n % 100) * 8) == 8); usleep(100); } while (poll(&pf, 1, 0) == 0);
    CHECK(lseek(f, 0, SEEK_END) == n * 10); FILE *r = fopen(log, "r"); CHECK(r);
    for (long i = 0; i < n; i++) { long v; CHECK(fscanf(r, "%ld", &v) == 1 && v == i); }
    for (long i = n; i > n - 100 && i > 0; i--) { long v; CHECK(pread(h, &v, 8, (i % 100) * 8) == 8 && v == i); }
    CHECK(umask(0) == 027); unlink(log); unlink(head);
    printf("done %08x\n", nonce); return 0;
}
