// Memory of one device, used by another. The tests give the software device two (SurfaceProgram.cs).
#include "surface.h"

enum { N = 200 };
static u64 peer_context, peer_memory;
static u32 peer_words[N];

// A kernel of this context reads the other device's memory.
static void reads_the_peer(void)
{
    u32 wanted[N];
    u64 out = device_words(NULL, N);
    affine_of(wanted, peer_words, N);
    run_affine(out, peer_memory, N, 0);
    OK(cuCtxSynchronize());
    words_are(out, wanted, N);
    OK(cuMemFree(out));
}

KEPT(peers_reach_each_other, "cuCtxEnablePeerAccess cuCtxDisablePeerAccess cuDeviceCanAccessPeer cuDeviceGetP2PAttribute")
{
    int n = 0, can = 0, ordinal = -1;
    u64 now = 0, popped = 0;
    OK(cuDeviceGetCount(&n));
    TRUE(n >= 2);
    OK(cuDeviceCanAccessPeer(&can, device, device + 1));
    IS(1, can);
    can = 0;
    OK(cuDeviceGetP2PAttribute(&can, 2, device, device + 1));
    IS(1, can);
    OK(cuDevicePrimaryCtxRetain(&peer_context, device + 1));
    IS(201, cuCtxEnablePeerAccess(primary_context, 0));
    IS(201, cuCtxEnablePeerAccess(0x1234, 0));
    IS(705, cuCtxDisablePeerAccess(peer_context));
    IS(1, cuCtxEnablePeerAccess(peer_context, 1));
    OK(cuCtxEnablePeerAccess(peer_context, 0));
    IS(704, cuCtxEnablePeerAccess(peer_context, 0));
    OK(cuCtxGetCurrent(&now));
    OK(cuCtxPushCurrent(peer_context));
    OK(cuCtxGetDevice(&ordinal));
    IS(device + 1, ordinal);
    fill_random(peer_words, sizeof peer_words);
    peer_memory = device_words(peer_words, N);
    OK(cuPointerGetAttribute(&ordinal, 9, peer_memory));
    IS(device + 1, ordinal);
    OK(cuCtxPopCurrent(&popped));
    IS(peer_context, popped);
    reads_the_peer();
}
FOUND(peers_reach_each_other)
{
    u64 here = device_words(NULL, N), popped = 0;
    reads_the_peer();
    IS(704, cuCtxEnablePeerAccess(peer_context, 0));
    OK(cuCtxDisablePeerAccess(peer_context));
    IS(705, cuCtxDisablePeerAccess(peer_context));
    // Copies need no permission.
    OK(cuMemcpyPeer(here, primary_context, peer_memory, peer_context, sizeof peer_words));
    OK(cuCtxSynchronize());
    words_are(here, peer_words, N);
    OK(cuMemFree(here));
    OK(cuCtxPushCurrent(peer_context));
    OK(cuMemFree(peer_memory));
    OK(cuCtxPopCurrent(&popped));
    OK(cuDevicePrimaryCtxRelease(device + 1));
}
