// The other process: it carries out what it is asked, one call at a time, and answers with what came of it.
#include "surface.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
static const int everything[] = {1, 0, 3};
static int last_file = -1;

static int send_with(int socket, void *bytes, size_t length, int file)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {bytes, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (file >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &file, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

static int receive_with(int socket, void *bytes, size_t length, int *file)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {bytes, length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *file = -1;
    if (recvmsg(socket, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)length) return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_type == SCM_RIGHTS) memcpy(file, CMSG_DATA(c), sizeof(int));
    return 1;
}

int peer_start(void)
{
    int ends[2];
    char number[16];
    TRUE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    pid_t child = fork();
    if (child == 0) {
        fcntl(ends[1], F_SETFD, 0);
        snprintf(number, sizeof number, "%d", ends[1]);
        execl("/proc/self/exe", "surface", "peer", number, replaced_function(), (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return ends[0];
}

void peer_end(int peer)
{
    int status;
    close(peer);
    wait(&status);
}

struct peer_answer peer_ask(int peer, struct peer_request request, int file)
{
    struct peer_answer answer = {.result = -1};
    if (last_file >= 0) close(last_file);
    TRUE(send_with(peer, &request, sizeof request, file));
    TRUE(receive_with(peer, &answer, sizeof answer, &last_file));
    return answer;
}

int peer_file(int peer) { return last_file; }

// Done when it returns: a copy from pageable memory may still be under way then.
static int copy_in(u64 at, const u32 *words)
{
    int result = cuMemcpyHtoD(at, words, PEER_WORDS * 4);
    return result ? result : cuCtxSynchronize();
}

static struct peer_answer carry_out(const struct peer_request *q, int file, int *give)
{
    static u64 streams[1];
    static const memory_properties shared = {1, 1, 1, 0, NULL, {0}};
    struct peer_answer a = {0};
    u64 handle = 0, out;
    if (!streams[0]) cuStreamCreate(&streams[0], 1);
    switch (q->call) {
    case PEER_MAKE: // memory of q->other bytes, with the words at its start
        a.result = cuMemAlloc(&a.at, q->other);
        if (!a.result) a.result = copy_in(a.at, q->words);
        if (!a.result) a.result = cuIpcGetMemHandle(&a.handle, a.at);
        break;
    case PEER_FREE: a.result = cuMemFree(q->at); break;
    case PEER_OPEN: a.result = (q->other ? cuIpcOpenMemHandle_first : cuIpcOpenMemHandle)(&a.at, q->handle, 1); break;
    case PEER_CLOSE: a.result = cuIpcCloseMemHandle(q->at); break;
    case PEER_READ: a.result = cuMemcpyDtoH(a.words, q->at, sizeof a.words); break;
    case PEER_WRITE: a.result = copy_in(q->at, q->words); break;
    case PEER_KERNEL: // out[i] = other[i] * 3 by a kernel, into the memory at q->at
        out = q->at;
        a.result = cuMemcpyDtoH(a.words, q->at, sizeof a.words);
        run_affine(out, q->other, PEER_WORDS, 0);
        if (!a.result) a.result = cuCtxSynchronize();
        a.at = factor;
        a.other = term;
        break;
    case PEER_MAKE_EVENT:
        a.result = cuEventCreate(&a.at, 6);
        if (!a.result) a.result = cuIpcGetEventHandle(&a.handle, a.at);
        break;
    case PEER_OPEN_EVENT: a.result = cuIpcOpenEventHandle(&a.at, q->handle); break;
    case PEER_END_EVENT: a.result = cuEventDestroy(q->at); break;
    case PEER_RECORD: a.result = cuEventRecord(q->at, streams[0]); break;
    case PEER_QUERY: a.result = cuEventQuery(q->at); break;
    case PEER_WAIT: // a stream waits for the event, and copies then
        a.result = cuStreamWaitEvent(streams[0], q->at, 0);
        if (!a.result) a.result = cuMemAlloc(&out, sizeof a.words);
        if (!a.result) a.result = cuMemcpyDtoDAsync(out, q->other, sizeof a.words, streams[0]);
        a.at = out;
        break;
    case PEER_AWAIT_EVENT: a.result = cuEventSynchronize(q->at); break;
    case PEER_MAKE_MAPPED:
    case PEER_OPEN_MAPPED: // 4 MiB of physical memory at a reserved place
        a.result = q->call == PEER_OPEN_MAPPED ? cuMemImportFromShareableHandle(&handle, (void *)(intptr_t)file, 1) : cuMemCreate(&handle, 4 * MIB, &shared, 0);
        if (!a.result && q->call == PEER_MAKE_MAPPED) a.result = cuMemExportToShareableHandle(give, handle, 1, 0);
        if (!a.result) a.result = cuMemAddressReserve(&a.at, 8 * MIB, 0, 0, 0);
        if (!a.result) a.result = cuMemMap(a.at + 2 * MIB, 4 * MIB, 0, handle, 0);
        if (!a.result) a.result = cuMemSetAccess(a.at + 2 * MIB, 4 * MIB, everything, 1);
        if (!a.result && q->call == PEER_MAKE_MAPPED) a.result = copy_in(a.at + 2 * MIB, q->words);
        a.other = handle;
        break;
    case PEER_CLOSE_MAPPED:
        a.result = cuMemUnmap(q->at + 2 * MIB, 4 * MIB);
        if (!a.result) a.result = cuMemRelease(q->other);
        if (!a.result) a.result = cuMemAddressFree(q->at, 8 * MIB);
        break;
    case PEER_OPEN_POOL: a.result = cuMemPoolImportFromShareableHandle(&a.at, (void *)(intptr_t)file, 1, 0); break;
    case PEER_OPEN_POINTER: a.handle = q->handle, a.result = cuMemPoolImportPointer(&a.at, q->other, &a.handle); break;
    case PEER_FREE_ASYNC: a.result = cuMemFreeAsync(q->at, streams[0]); break;
    }
    return a;
}

void peer_serve(int socket)
{
    struct peer_request request;
    int file;
    while (receive_with(socket, &request, sizeof request, &file)) {
        int give = -1;
        struct peer_answer answer = {.result = -2};
        alarm(0);
        answer = carry_out(&request, file, &give);
        send_with(socket, &answer, sizeof answer, give);
        if (file >= 0) close(file);
        if (give >= 0) close(give);
    }
}
