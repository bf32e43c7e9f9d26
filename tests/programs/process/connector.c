// Two servers and two clients, all processes of their own, over a Unix socket and over TCP: connections are made, used and closed all the time, some with data sent before they are accepted.
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#define CHECK(c) do { if (!(c)) { printf("FAILED line %d: %s errno %d\n", __LINE__, #c, errno); fflush(stdout); _exit(1); } } while (0)
enum { KINDS = 2, LEAST = 20 };
struct counts { volatile unsigned served[KINDS], asked[KINDS]; volatile int over; };
static struct counts *counts; static unsigned nonce; static int stops[KINDS][2]; static struct sockaddr_storage names[KINDS]; static socklen_t lengths[KINDS];
static void all(int s, void *to, size_t n) { for (size_t at = 0; at < n; ) { ssize_t r = recv(s, (char *)to + at, n - at, 0); CHECK(r > 0); at += r; } }
static void serve(int kind, int listener)
{
    for (;;)
    {
        struct pollfd p[2] = { { listener, POLLIN, 0 }, { stops[kind][0], POLLIN, 0 } }; CHECK(poll(p, 2, -1) > 0);
        if (!p[0].revents) _exit(0); // and nobody is left who could connect
        int s = accept(listener, 0, 0); CHECK(s >= 0); unsigned word; all(s, &word, 4); word ^= nonce; CHECK(send(s, &word, 4, 0) == 4); counts->served[kind]++;
        char c; CHECK(recv(s, &c, 1, 0) == 0 && close(s) == 0);
    }
}
static void ask(int kind)
{
    for (unsigned i = 0; !counts->over; i++)
    {
        int s = socket(kind ? AF_INET : AF_UNIX, SOCK_STREAM, 0); CHECK(s >= 0);
        if (kind) { struct linger none = { 1, 0 }; CHECK(setsockopt(s, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0); } // no TIME_WAIT: ports would run out
        CHECK(connect(s, (void *)&names[kind], lengths[kind]) == 0); if (i % 3 == 0) usleep(i % 7 * 50);
        unsigned word = i; CHECK(send(s, &word, 4, 0) == 4); all(s, &word, 4); CHECK(word == (i ^ nonce)); counts->asked[kind]++;
        CHECK(shutdown(s, SHUT_WR) == 0 && close(s) == 0); if (i % 5 == 0) usleep(200);
    }
    _exit(0);
}
int main(void)
{
    setvbuf(stdout, 0, _IOLBF, 0); CHECK(getrandom(&nonce, 4, 0) == 4); signal(SIGPIPE, SIG_IGN);
    counts = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); CHECK(counts != MAP_FAILED); pid_t servers[KINDS], clients[KINDS];
    for (int kind = 0; kind < KINDS; kind++)
    {
        struct sockaddr_in in = { AF_INET, 0, { htonl(INADDR_LOOPBACK) } }; struct sockaddr_un un = { AF_UNIX }; snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "trecr-connector-%08x", nonce);
        lengths[kind] = kind ? sizeof in : offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un.sun_path + 1); memcpy(&names[kind], kind ? (void *)&in : (void *)&un, lengths[kind]);
        int l = socket(kind ? AF_INET : AF_UNIX, SOCK_STREAM, 0); CHECK(l >= 0 && bind(l, (void *)&names[kind], lengths[kind]) == 0 && listen(l, 8) == 0 && pipe(stops[kind]) == 0);
        socklen_t n = sizeof names[kind]; CHECK(getsockname(l, (void *)&names[kind], &n) == 0);
        servers[kind] = fork(); CHECK(servers[kind] >= 0); if (!servers[kind]) serve(kind, l);
        CHECK(close(l) == 0); clients[kind] = fork(); CHECK(clients[kind] >= 0); if (!clients[kind]) ask(kind);
    }
    printf("ready %08x\n", nonce); struct pollfd pf = { 0, POLLIN, 0 }; unsigned before[KINDS] = { 0 }, first[KINDS] = { counts->asked[0], counts->asked[1] };
    while (poll(&pf, 1, 5) == 0) for (int k = 0; k < KINDS; k++) { CHECK(counts->asked[k] >= before[k]); before[k] = counts->asked[k]; }
    while (counts->asked[0] - first[0] < LEAST || counts->asked[1] - first[1] < LEAST) usleep(1000); // work is still done
    counts->over = 1; int st; for (int k = 0; k < KINDS; k++) CHECK(waitpid(clients[k], &st, 0) == clients[k] && st == 0);
    for (int k = 0; k < KINDS; k++) { CHECK(write(stops[k][1], "x", 1) == 1); CHECK(waitpid(servers[k], &st, 0) == servers[k] && st == 0); CHECK(counts->served[k] == counts->asked[k]); }
    printf("done %08x\n", nonce); return 0;
}
