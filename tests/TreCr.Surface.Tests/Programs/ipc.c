// Memory and events of two processes (peer.c). What is kept is kept in both: one checkpoint holds them, and each goes on with the same addresses.
#include "surface.h"
#include <unistd.h>

enum { N = PEER_WORDS };
#define MIB ((size_t)1 << 20)
#define ASK(...) peer_ask(peer, (struct peer_request){__VA_ARGS__}, -1)

static void peer_has(int peer, u64 at, const u32 *words)
{
    struct peer_answer a = ASK(.call = PEER_READ, .at = at);
    OK(a.result);
    for (int i = 0; i < N; i++) IS(words[i], a.words[i]);
}

static void put(u64 at, const u32 *words)
{
    OK(cuMemcpyHtoD(at, words, N * 4));
    OK(cuCtxSynchronize()); // a copy from pageable memory may still be under way
}

static void peer_puts(int peer, u64 at, u32 *words)
{
    struct peer_request q = {.call = PEER_WRITE, .at = at};
    fill_random(q.words, sizeof q.words);
    memcpy(words, q.words, sizeof q.words);
    OK(peer_ask(peer, q, -1).result);
}

// Both see what either writes, whole blocks and parts of one.
CASE(memory_of_another_process, "cuIpcGetMemHandle cuIpcOpenMemHandle cuIpcCloseMemHandle")
{
    int peer = peer_start();
    u32 words[N], other[N];
    size_t sizes[] = {1000, 3 * MIB, 700};
    u64 here[3], there[3], again;
    share_handle handle[3], once_more;
    for (int i = 0; i < 3; i++) {
        OK(cuMemAlloc(&here[i], sizes[i]));
        OK(cuIpcGetMemHandle(&handle[i], here[i]));
        OK(cuIpcGetMemHandle(&once_more, here[i]));
        IS(0, memcmp(&once_more, &handle[i], sizeof once_more));
        struct peer_answer a = ASK(.call = PEER_OPEN, .handle = handle[i], .other = i & 1);
        OK(a.result);
        there[i] = a.at;
        TRUE(there[i] != here[i] && there[i] % 4 == 0);
    }
    for (int i = 0; i < 3; i++) {
        fill_random(words, sizeof words);
        put(here[i], words);
        peer_has(peer, there[i], words);
        peer_puts(peer, there[i], other);
        words_are(here[i], other, N);
    }
    peer_puts(peer, there[1] + 3 * MIB - sizeof other, other); // the end of the second block
    words_are(here[1] + 3 * MIB - sizeof other, other, N);
    // A kernel of the other process, from one to the other.
    struct peer_answer k = ASK(.call = PEER_KERNEL, .at = there[0], .other = there[1]);
    OK(k.result);
    OK(cuMemcpyDtoH(other, here[1], sizeof other));
    for (int i = 0; i < N; i++) words[i] = other[i] * (u32)k.at + (u32)k.other;
    words_are(here[0], words, N);
    // Opened again it is the same, and closed as often; then it is gone.
    struct peer_answer a = ASK(.call = PEER_OPEN, .handle = handle[1]);
    OK(a.result);
    IS(there[1], a.at);
    IS(1, ASK(.call = PEER_FREE, .at = there[1]).result);
    IS(1, ASK(.call = PEER_CLOSE, .at = there[1] + 4).result);
    OK(ASK(.call = PEER_CLOSE, .at = there[1]).result);
    peer_has(peer, there[1], other);
    OK(ASK(.call = PEER_CLOSE, .at = there[1]).result);
    IS(1, ASK(.call = PEER_CLOSE, .at = there[1]).result);
    IS(1, ASK(.call = PEER_READ, .at = there[1]).result);
    // The other way round; what its maker frees stays as long as it is open.
    struct peer_request make = {.call = PEER_MAKE, .other = 5 * MIB};
    fill_random(make.words, sizeof make.words);
    a = peer_ask(peer, make, -1);
    OK(a.result);
    OK(cuIpcOpenMemHandle(&again, a.handle, 1));
    words_are(again, make.words, N);
    OK(ASK(.call = PEER_FREE, .at = a.at).result);
    struct peer_answer b = peer_ask(peer, (struct peer_request){.call = PEER_MAKE, .other = 5 * MIB}, -1);
    OK(b.result);
    TRUE(b.at != a.at);
    words_are(again, make.words, N);
    OK(cuIpcCloseMemHandle(again));
    IS(1, cuIpcCloseMemHandle(again));
    IS(1, cuIpcOpenMemHandle(&again, a.handle, 1));
    // Also when it ends.
    OK(cuIpcOpenMemHandle_first(&again, b.handle, 1));
    peer_puts(peer, b.at, make.words);
    peer_end(peer);
    words_are(again, make.words, N);
    OK(cuIpcCloseMemHandle(again));
    while (!cuIpcOpenMemHandle(&again, b.handle, 1)) OK(cuIpcCloseMemHandle(again)); // what it leaves is cleared away soon
    IS(1, cuIpcOpenMemHandle(&again, b.handle, 1));
    for (int i = 0; i < 3; i++) OK(cuMemFree(here[i]));
}

CASE(handles_that_open_nothing, "cuIpcGetMemHandle cuIpcOpenMemHandle cuIpcGetEventHandle cuIpcOpenEventHandle")
{
    u64 p = 0, at = 7, ordered = 0, event = 0, opened = 7;
    share_handle handle, bad;
    unsigned char capable = 7;
    OK(cuMemAlloc(&p, 4096));
    OK(cuIpcGetMemHandle(&handle, p + 100));
    IS(201, cuIpcOpenMemHandle(&at, handle, 1)); // this process's own
    IS(1, cuIpcOpenMemHandle(&at, handle, 0));
    IS(1, cuIpcOpenMemHandle(NULL, handle, 1));
    for (int i = 0; i < 3; i++) {
        bad = handle;
        if (i == 0) memset(&bad, 0, sizeof bad);
        else if (i == 1) fill_random(&bad, sizeof bad);
        else bad.bytes[20] ^= 1; // of the token
        IS(1, cuIpcOpenMemHandle(&at, bad, 1));
        IS(1, cuIpcOpenEventHandle(&opened, bad));
    }
    IS(7, at);
    IS(7, opened);
    IS(1, cuIpcOpenEventHandle(&opened, handle));
    IS(1, cuIpcGetMemHandle(NULL, p));
    IS(1, cuIpcGetMemHandle(&handle, 0x1234));
    OK(cuMemAllocAsync(&ordered, 4096, 0));
    IS(1, cuIpcGetMemHandle(&handle, ordered));
    OK(cuPointerGetAttribute(&capable, 10, p));
    IS(1, capable);
    OK(cuPointerGetAttribute(&capable, 10, ordered));
    IS(0, capable);
    OK(cuMemFreeAsync(ordered, 0));
    OK(cuMemFree(p));
    IS(1, cuIpcGetMemHandle(&handle, p));
    IS(1, cuIpcCloseMemHandle(p));
    IS(1, cuEventCreate(&event, 4)); // with timing it cannot be shared
    OK(cuEventCreate(&event, 2));
    IS(400, cuIpcGetEventHandle(&handle, event));
    OK(cuEventDestroy(event));
    OK(cuEventCreate(&event, 6));
    IS(1, cuIpcGetEventHandle(NULL, event));
    OK(cuIpcGetEventHandle(&handle, event));
    IS(201, cuIpcOpenEventHandle(&opened, handle));
    IS(1, cuIpcOpenMemHandle(&at, handle, 1));
    OK(cuEventDestroy(event));
    IS(400, cuIpcGetEventHandle(&handle, event));
    IS(1, cuIpcOpenEventHandle(&opened, handle));
}

// Work of one process that waits for work of the other, both ways.
static void in_turns(int peer, u64 event, u64 there, u64 memory, u64 memory_there)
{
    u64 stream = 0, side = 0;
    u32 *flag, words[N], value = random_u32();
    struct peer_answer a;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamCreate(&side, 1));
    OK(cuMemHostAlloc((void **)&flag, 4, 0));
    *flag = 0;
    fill_random(words, sizeof words);
    put(memory, words);
    void *parameters[] = {&flag, &memory, &value};
    OK(cuLaunchKernel(function("gate"), 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL));
    OK(cuEventRecord(event, stream));
    IS(600, ASK(.call = PEER_QUERY, .at = there).result);
    a = ASK(.call = PEER_WAIT, .at = there, .other = memory_there);
    OK(a.result);
    IS(600, ASK(.call = PEER_QUERY, .at = there).result);
    OK(ASK(.call = PEER_RECORD, .at = there).result); // behind the copy
    IS(600, cuEventQuery(event));
    OK(cuStreamWaitEvent(side, event, 0));
    OK(cuMemsetD32Async(memory, 7, 1, side));
    IS(600, cuStreamQuery(side));
    __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
    OK(cuEventSynchronize(event));
    OK(ASK(.call = PEER_AWAIT_EVENT, .at = there).result);
    OK(ASK(.call = PEER_QUERY, .at = there).result);
    words[0] = value;
    peer_has(peer, a.at, words);
    OK(ASK(.call = PEER_FREE, .at = a.at).result);
    OK(cuStreamSynchronize(side));
    words[0] = 7;
    words_are(memory, words, N);
    OK(cuStreamDestroy(stream));
    OK(cuStreamDestroy(side));
    OK(cuMemFreeHost(flag));
}

static int event_peer;
static u64 event_memory, event_memory_there, event_here, event_there, event_second, event_second_there;

KEPT(event_of_two_processes, "cuIpcGetEventHandle cuIpcOpenEventHandle cuEventRecord")
{
    int peer = event_peer = peer_start();
    share_handle handle, once_more;
    struct peer_answer a;
    OK(cuMemAlloc(&event_memory, 4096));
    OK(cuIpcGetMemHandle(&handle, event_memory));
    a = ASK(.call = PEER_OPEN, .handle = handle);
    OK(a.result);
    event_memory_there = a.at;
    OK(cuEventCreate(&event_here, 6));
    OK(cuIpcGetEventHandle(&handle, event_here));
    OK(cuIpcGetEventHandle(&once_more, event_here));
    IS(0, memcmp(&once_more, &handle, sizeof handle));
    a = ASK(.call = PEER_OPEN_EVENT, .handle = handle);
    OK(a.result);
    event_there = a.at;
    OK(cuEventQuery(event_here));
    OK(ASK(.call = PEER_QUERY, .at = event_there).result);
    a = ASK(.call = PEER_MAKE_EVENT);
    OK(a.result);
    event_second_there = a.at;
    OK(cuIpcOpenEventHandle(&event_second, a.handle));
    IS(400, cuIpcGetEventHandle(&handle, event_second)); // not ours to give on
    in_turns(peer, event_here, event_there, event_memory, event_memory_there);
    in_turns(peer, event_second, event_second_there, event_memory, event_memory_there);
}
FOUND(event_of_two_processes)
{
    int peer = event_peer;
    OK(cuEventQuery(event_here));
    OK(ASK(.call = PEER_QUERY, .at = event_there).result);
    in_turns(peer, event_here, event_there, event_memory, event_memory_there);
    in_turns(peer, event_second, event_second_there, event_memory, event_memory_there);
    OK(ASK(.call = PEER_END_EVENT, .at = event_there).result);
    OK(cuEventDestroy(event_second));
    peer_end(peer);
    OK(cuEventDestroy(event_here));
    OK(cuMemFree(event_memory));
}

static int kept_peer;
static u64 kept_small, kept_large, kept_theirs, kept_small_there, kept_large_there, kept_theirs_there, kept_freed_there;
static u32 small_words[N], large_words[N], theirs_words[N], freed_words[N];
static share_handle kept_handle;

KEPT(memory_of_two_processes, "cuIpcGetMemHandle cuIpcOpenMemHandle cuIpcCloseMemHandle")
{
    int peer = kept_peer = peer_start();
    share_handle handle;
    struct peer_answer a;
    u64 freed;
    OK(cuMemAlloc(&kept_small, 1000));
    OK(cuMemAlloc(&kept_large, 6 * MIB));
    OK(cuMemAlloc(&freed, 3 * MIB));
    OK(cuIpcGetMemHandle(&handle, kept_small));
    a = ASK(.call = PEER_OPEN, .handle = handle);
    OK(a.result);
    kept_small_there = a.at;
    OK(cuIpcGetMemHandle(&kept_handle, kept_large));
    a = ASK(.call = PEER_OPEN, .handle = kept_handle);
    OK(a.result);
    kept_large_there = a.at;
    OK(cuIpcGetMemHandle(&handle, freed));
    a = ASK(.call = PEER_OPEN, .handle = handle);
    OK(a.result);
    kept_freed_there = a.at;
    peer_puts(peer, kept_small_there, small_words);
    peer_puts(peer, kept_large_there + 5 * MIB, large_words);
    peer_puts(peer, kept_freed_there + 2 * MIB, freed_words);
    OK(cuMemFree(freed)); // while it is open there
    struct peer_request make = {.call = PEER_MAKE, .other = 300};
    fill_random(theirs_words, sizeof theirs_words);
    memcpy(make.words, theirs_words, sizeof theirs_words);
    a = peer_ask(peer, make, -1);
    OK(a.result);
    kept_theirs_there = a.at;
    OK(cuIpcOpenMemHandle(&kept_theirs, a.handle, 1));
}
FOUND(memory_of_two_processes)
{
    int peer = kept_peer;
    u32 words[N];
    words_are(kept_small, small_words, N);
    words_are(kept_large + 5 * MIB, large_words, N);
    words_are(kept_theirs, theirs_words, N);
    peer_has(peer, kept_small_there, small_words);
    peer_has(peer, kept_large_there + 5 * MIB, large_words);
    peer_has(peer, kept_freed_there + 2 * MIB, freed_words);
    // It is one memory still, and its handle opens it still.
    peer_puts(peer, kept_large_there, words);
    words_are(kept_large, words, N);
    put(kept_theirs, words);
    peer_has(peer, kept_theirs_there, words);
    struct peer_answer a = ASK(.call = PEER_OPEN, .handle = kept_handle);
    OK(a.result);
    IS(kept_large_there, a.at);
    OK(ASK(.call = PEER_CLOSE, .at = a.at).result);
    OK(ASK(.call = PEER_CLOSE, .at = a.at).result);
    IS(1, ASK(.call = PEER_CLOSE, .at = a.at).result);
    OK(ASK(.call = PEER_CLOSE, .at = kept_freed_there).result);
    OK(ASK(.call = PEER_CLOSE, .at = kept_small_there).result);
    OK(cuIpcCloseMemHandle(kept_theirs));
    peer_end(peer);
    OK(cuMemFree(kept_small));
    OK(cuMemFree(kept_large));
}

static const memory_properties shareable = {1, 1, 1, 0, NULL, {0}};
static const int everything[] = {1, 0, 3};
static int mapped_peer, mapped_file;
static u64 mapped_at, mapped_handle, mapped_there, mapped_handle_there, mapped_theirs, mapped_theirs_handle;
static u32 mapped_words[N], mapped_theirs_words[N];

KEPT(physical_memory_of_two_processes, "cuMemExportToShareableHandle cuMemImportFromShareableHandle cuMemCreate cuMemMap cuMemUnmap cuMemRelease")
{
    int peer = mapped_peer = peer_start(), none = -1, pipes[2];
    struct peer_answer a;
    memory_properties found = {0};
    u64 other = 0, again = 0;
    OK(cuMemCreate(&mapped_handle, 4 * MIB, &shareable, 0));
    OK(cuMemExportToShareableHandle(&mapped_file, mapped_handle, 1, 0));
    TRUE(mapped_file > 2);
    OK(cuMemAddressReserve(&mapped_at, 16 * MIB, 0, 0, 0));
    OK(cuMemMap(mapped_at, 4 * MIB, 0, mapped_handle, 0));
    OK(cuMemMap(mapped_at + 8 * MIB, 4 * MIB, 0, mapped_handle, 0)); // at two addresses
    OK(cuMemSetAccess(mapped_at, 4 * MIB, everything, 1));
    OK(cuMemSetAccess(mapped_at + 8 * MIB, 4 * MIB, everything, 1));
    a = peer_ask(peer, (struct peer_request){.call = PEER_OPEN_MAPPED}, mapped_file);
    OK(a.result);
    mapped_there = a.at;
    mapped_handle_there = a.other;
    peer_puts(peer, mapped_there + 4 * MIB, mapped_words);
    words_are(mapped_at + 2 * MIB, mapped_words, N);
    words_are(mapped_at + 10 * MIB, mapped_words, N);
    a = peer_ask(peer, (struct peer_request){.call = PEER_MAKE_MAPPED}, -1);
    OK(a.result);
    OK(cuMemImportFromShareableHandle(&mapped_theirs_handle, (void *)(intptr_t)peer_file(peer), 1));
    OK(cuMemGetAllocationPropertiesFromHandle(&found, mapped_theirs_handle));
    TRUE(found.type == 1 && found.handle_types == 1);
    OK(cuMemAddressReserve(&mapped_theirs, 4 * MIB, 0, 0, 0));
    IS(1, cuMemMap(mapped_theirs, 2 * MIB, 0, mapped_theirs_handle, 0));
    OK(cuMemMap(mapped_theirs, 4 * MIB, 0, mapped_theirs_handle, 0));
    peer_puts(peer, a.at + 3 * MIB, mapped_theirs_words);
    words_are(mapped_theirs + MIB, mapped_theirs_words, N);
    // What cannot be.
    IS(1, cuMemExportToShareableHandle(&none, mapped_theirs_handle, 1, 0));
    IS(1, cuMemExportToShareableHandle(&none, mapped_handle, 2, 0));
    IS(1, cuMemExportToShareableHandle(&none, mapped_handle, 1, 1));
    IS(1, cuMemImportFromShareableHandle(&other, (void *)(intptr_t)-1, 1));
    TRUE(!pipe(pipes));
    IS(1, cuMemImportFromShareableHandle(&other, (void *)(intptr_t)pipes[0], 1));
    IS(1, cuMemImportFromShareableHandle(&other, (void *)(intptr_t)mapped_file, 2));
    close(pipes[0]);
    close(pipes[1]);
    IS(-1, none);
    share_handle handle;
    IS(1, cuIpcGetMemHandle(&handle, mapped_at));
    // One's own is the handle that it was.
    OK(cuMemImportFromShareableHandle(&again, (void *)(intptr_t)mapped_file, 1));
    IS(mapped_handle, again);
    OK(cuMemRelease(again));
}
FOUND(physical_memory_of_two_processes)
{
    int peer = mapped_peer;
    u32 words[N], zero[N] = {0};
    u64 again;
    words_are(mapped_at + 2 * MIB, mapped_words, N);
    words_are(mapped_at + 10 * MIB, mapped_words, N);
    peer_has(peer, mapped_there + 4 * MIB, mapped_words);
    words_are(mapped_theirs + MIB, mapped_theirs_words, N);
    // The descriptor has come back too.
    OK(cuMemImportFromShareableHandle(&again, (void *)(intptr_t)mapped_file, 1));
    IS(mapped_handle, again);
    OK(cuMemRelease(again));
    close(mapped_file);
    peer_puts(peer, mapped_there + 2 * MIB, words);
    words_are(mapped_at, words, N);
    words_are(mapped_at + 8 * MIB, words, N);
    OK(cuMemUnmap(mapped_at, 4 * MIB));
    OK(cuMemMap(mapped_at + 4 * MIB, 4 * MIB, 0, mapped_handle, 0));
    words_are(mapped_at + 4 * MIB, words, N);
    // Memory in its place is nothing of it.
    OK(cuMemUnmap(mapped_at + 8 * MIB, 4 * MIB));
    OK(cuMemCreate(&again, 4 * MIB, &(memory_properties){1, 0, 1, 0, NULL, {0}}, 0));
    OK(cuMemMap(mapped_at + 8 * MIB, 4 * MIB, 0, again, 0));
    words_are(mapped_at + 8 * MIB, zero, N);
    OK(cuMemRelease(again));
    OK(cuMemUnmap(mapped_at + 8 * MIB, 4 * MIB));
    // Released here, it lives while it is mapped there.
    OK(cuMemUnmap(mapped_at + 4 * MIB, 4 * MIB));
    OK(cuMemRelease(mapped_handle));
    OK(cuMemAddressFree(mapped_at, 16 * MIB));
    peer_has(peer, mapped_there + 2 * MIB, words);
    OK(ASK(.call = PEER_CLOSE_MAPPED, .at = mapped_there, .other = mapped_handle_there).result);
    OK(cuMemUnmap(mapped_theirs, 4 * MIB));
    OK(cuMemRelease(mapped_theirs_handle));
    IS(1, cuMemRelease(mapped_theirs_handle));
    OK(cuMemAddressFree(mapped_theirs, 4 * MIB));
    peer_end(peer);
}

// Plain physical memory, too, can stand at two addresses.
CASE(memory_at_two_addresses, "cuMemMap cuMemUnmap")
{
    u64 at, handle;
    u32 words[N], other[N];
    OK(cuMemAddressReserve(&at, 4 * MIB, 0, 0, 0));
    OK(cuMemCreate(&handle, 2 * MIB, &(memory_properties){1, 0, 1, 0, NULL, {0}}, 0));
    OK(cuMemMap(at, 2 * MIB, 0, handle, 0));
    OK(cuMemSetAccess(at, 2 * MIB, everything, 1));
    fill_random(words, sizeof words);
    OK(cuMemcpyHtoD(at, words, sizeof words));
    OK(cuMemMap(at + 2 * MIB, 2 * MIB, 0, handle, 0));
    OK(cuMemRelease(handle));
    words_are(at + 2 * MIB, words, N);
    run_affine(at + 2 * MIB, at, N, 0);
    OK(cuCtxSynchronize());
    affine_of(other, words, N);
    words_are(at, other, N);
    OK(cuMemUnmap(at, 2 * MIB));
    words_are(at + 2 * MIB, other, N);
    OK(cuMemUnmap(at + 2 * MIB, 2 * MIB));
    OK(cuMemAddressFree(at, 4 * MIB));
}

static int pool_peer;
static u64 shared_pool, shared_pointer, pool_there, pointer_there;
static u32 shared_pool_words[N];
static share_handle pointer_data;

KEPT(pool_of_two_processes, "cuMemPoolExportToShareableHandle cuMemPoolImportFromShareableHandle cuMemPoolExportPointer cuMemPoolImportPointer cuMemPoolCreate")
{
    int peer = pool_peer = peer_start(), properties[22] = {1, 1, 1, device}, file = -1;
    u64 plain = 0, p;
    struct peer_answer a;
    OK(cuMemPoolCreate(&shared_pool, properties));
    OK(cuMemPoolExportToShareableHandle(&file, shared_pool, 1, 0));
    IS(1, cuMemPoolExportToShareableHandle(&file, shared_pool, 2, 0));
    a = peer_ask(peer, (struct peer_request){.call = PEER_OPEN_POOL}, file);
    OK(a.result);
    pool_there = a.at;
    close(file);
    OK(cuMemAllocFromPoolAsync(&shared_pointer, 8192, shared_pool, 0));
    OK(cuMemPoolExportPointer(&pointer_data, shared_pointer));
    a = ASK(.call = PEER_OPEN_POINTER, .other = pool_there, .handle = pointer_data);
    OK(a.result);
    pointer_there = a.at;
    peer_puts(peer, pointer_there, shared_pool_words);
    words_are(shared_pointer, shared_pool_words, N);
    // What cannot be.
    OK(cuMemAllocAsync(&p, 4096, 0));
    IS(1, cuMemPoolExportPointer(&(share_handle){{0}}, p));
    OK(cuMemFreeAsync(p, 0));
    properties[1] = 0;
    OK(cuMemPoolCreate(&plain, properties));
    IS(1, cuMemPoolExportToShareableHandle(&file, plain, 1, 0));
    IS(1, cuMemPoolImportPointer(&p, plain, &pointer_data));
    OK(cuMemPoolDestroy(plain));
    IS(1, cuMemPoolImportFromShareableHandle(&p, (void *)0, 1, 0));
    IS(1, ASK(.call = PEER_OPEN, .handle = pointer_data).result);
}
FOUND(pool_of_two_processes)
{
    int peer = pool_peer;
    u32 words[N];
    words_are(shared_pointer, shared_pool_words, N);
    peer_has(peer, pointer_there, shared_pool_words);
    peer_puts(peer, pointer_there, words);
    words_are(shared_pointer, words, N);
    OK(ASK(.call = PEER_FREE_ASYNC, .at = pointer_there).result);
    IS(1, ASK(.call = PEER_READ, .at = pointer_there).result);
    struct peer_answer a = ASK(.call = PEER_OPEN_POINTER, .other = pool_there, .handle = pointer_data);
    OK(a.result);
    peer_has(peer, a.at, words);
    OK(ASK(.call = PEER_FREE, .at = a.at).result);
    IS(1, ASK(.call = PEER_FREE, .at = a.at).result);
    peer_end(peer);
    OK(cuMemFreeAsync(shared_pointer, 0));
    OK(cuMemPoolDestroy(shared_pool));
}
