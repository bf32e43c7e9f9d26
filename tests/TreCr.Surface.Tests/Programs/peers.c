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

// One launch on both devices: it begins when both streams are done with what was before, and what comes after begins when both kernels are done; where that is not wanted, it does not.
CASE(one_launch_on_two_devices, "cuLaunchCooperativeKernelMultiDevice")
{
    u64 contexts[2] = {primary_context}, streams[2], in[2], out[2], modules[2], functions[2], popped = 0;
    u32 words[2][N], wanted[2][N], n = N, *flag = NULL;
    void *parameters[2][3];
    launch_params launches[2];
    OK(cuMemHostAlloc((void **)&flag, 64, 0));
    *flag = 0;
    OK(cuDevicePrimaryCtxRetain(&contexts[1], device + 1));
    for (int d = 0; d < 2; d++) {
        OK(cuCtxPushCurrent(contexts[d]));
        fill_random(words[d], sizeof words[d]);
        affine_of(wanted[d], words[d], N);
        in[d] = device_words(words[d], N);
        out[d] = device_words(NULL, N);
        OK(cuModuleLoadData(&modules[d], module_text()));
        OK(cuModuleGetFunction(&functions[d], modules[d], "affine"));
        OK(cuStreamCreate(&streams[d], 1));
        parameters[d][0] = &out[d], parameters[d][1] = &in[d], parameters[d][2] = &n;
        launches[d] = (launch_params){functions[d], (N + 63) / 64, 1, 1, 64, 1, 1, 0, streams[d], parameters[d]};
        OK(cuCtxPopCurrent(&popped));
    }
    IS(1, cuLaunchCooperativeKernelMultiDevice(NULL, 2, 0));
    IS(1, cuLaunchCooperativeKernelMultiDevice(launches, 2, 4));
    launches[1].gx++;
    IS(1, cuLaunchCooperativeKernelMultiDevice(launches, 2, 0));
    launches[1].gx--;
    launches[1].stream = 0;
    IS(1, cuLaunchCooperativeKernelMultiDevice(launches, 2, 0));
    launches[1].stream = streams[0];
    IS(1, cuLaunchCooperativeKernelMultiDevice(launches, 2, 0));
    launches[1].stream = streams[1];
    // The second device waits for what the first has to do before.
    OK(cuStreamWaitValue32(streams[0], (u64)flag, 1, EQUAL));
    OK(cuLaunchCooperativeKernelMultiDevice(launches, 2, 0));
    IS(600, cuStreamQuery(streams[1]));
    __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
    for (int d = 0; d < 2; d++) {
        OK(cuStreamSynchronize(streams[d]));
        words_are(out[d], wanted[d], N);
        OK(cuMemsetD32(out[d], 0, N));
    }
    // And does not, before and after.
    OK(cuStreamWaitValue32(streams[0], (u64)flag, 2, EQUAL));
    OK(cuLaunchCooperativeKernelMultiDevice(launches, 2, 3));
    OK(cuStreamSynchronize(streams[1]));
    IS(600, cuStreamQuery(streams[0]));
    __atomic_store_n(flag, 2, __ATOMIC_SEQ_CST);
    for (int d = 0; d < 2; d++) {
        OK(cuStreamSynchronize(streams[d]));
        words_are(out[d], wanted[d], N);
    }
    for (int d = 0; d < 2; d++) {
        OK(cuCtxPushCurrent(contexts[d]));
        OK(cuStreamDestroy(streams[d]));
        OK(cuModuleUnload(modules[d]));
        OK(cuMemFree(in[d]));
        OK(cuMemFree(out[d]));
        OK(cuCtxPopCurrent(&popped));
    }
    OK(cuMemFreeHost(flag));
    OK(cuDevicePrimaryCtxRelease(device + 1));
}
