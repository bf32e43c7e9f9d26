// Launches and host functions.
#include "surface.h"

#define N 200
static u32 in[N], expected[N];

static void through_of(u32 *out, u32 n)
{
    for (u32 i = 0; i < n; i++) out[i] = (i + 1) % n * factor + term;
}

KEPT(parameters_one_by_one, "cuLaunchKernel")
{
    fill_random(in, sizeof in);
    affine_of(expected, in, N);
    u64 p = device_words(in, N), q = device_words(NULL, N);
    run_affine(q, p, N, 0);
    words_are(q, expected, N);
    void *parameters[] = {&q};
    u64 f = function("through");
    OK(cuLaunchKernel(f, 1, 1, 1, 96, 1, 1, 96 * 4, 0, parameters, NULL));
    through_of(expected, 96);
    words_are(q, expected, 96);
    IS(1, cuLaunchKernel(f, 0, 1, 1, 96, 1, 1, 0, 0, parameters, NULL));
    IS(400, cuLaunchKernel(0x123456, 1, 1, 1, 96, 1, 1, 0, 0, parameters, NULL));
    IS(701, cuLaunchKernel(function("limited"), 1, 1, 1, 96, 1, 1, 0, 0, parameters, NULL));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
FOUND(parameters_one_by_one) { parameters_one_by_one(); }

CASE(blocks_of_all_shapes, "cuLaunchKernel")
{
    u64 q = device_words(NULL, N), f = function("affine");
    u32 none = 0;
    void *parameters[] = {&q, &q, &none};
    static const u32 shapes[][3] = {{1024, 1, 1}, {1, 1024, 1}, {4, 128, 1}, {2, 8, 64}, {1, 1, 64}}, others[][3] = {{1025, 1, 1}, {1, 1025, 1}, {1, 1, 65}, {32, 33, 1}, {16, 1, 0}};
    for (int i = 0; i < 5; i++) OK(cuLaunchKernel(f, 2, 2, 2, shapes[i][0], shapes[i][1], shapes[i][2], 0, 0, parameters, NULL));
    for (int i = 0; i < 5; i++) IS(1, cuLaunchKernel(f, 2, 2, 2, others[i][0], others[i][1], others[i][2], 0, 0, parameters, NULL));
    OK(cuLaunchKernel(f, 70000, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    IS(1, cuLaunchKernel(f, 1, 65536, 1, 1, 1, 1, 0, 0, parameters, NULL));
    IS(1, cuLaunchKernel(f, 1, 1, 65536, 1, 1, 1, 0, 0, parameters, NULL));
    OK(cuCtxSynchronize());
    OK(cuMemFree(q));
}

CASE(parameters_in_a_buffer, "cuLaunchKernel")
{
    fill_random(in, sizeof in);
    affine_of(expected, in, N);
    struct { u64 out, in; u32 n; } block = {device_words(NULL, N), device_words(in, N), N - 1};
    size_t bytes = 20;
    void *extra[] = {(void *)1, &block, (void *)2, &bytes, NULL};
    OK(cuLaunchKernel(function("affine"), 4, 1, 1, 64, 1, 1, 0, 0, NULL, extra));
    expected[N - 1] = 0;
    words_are(block.out, expected, N);
    OK(cuMemFree(block.out));
    OK(cuMemFree(block.in));
}

CASE(cooperative_launch, "cuLaunchCooperativeKernel")
{
    u64 q = device_words(NULL, 64);
    void *parameters[] = {&q};
    OK(cuLaunchCooperativeKernel(function("through"), 1, 1, 1, 64, 1, 1, 64 * 4, 0, parameters));
    through_of(expected, 64);
    words_are(q, expected, 64);
    OK(cuMemFree(q));
}

CASE(launch_with_a_configuration, "cuLaunchKernelEx")
{
    u64 q = device_words(NULL, 64);
    void *parameters[] = {&q};
    launch_attribute attributes[2] = {{.id = 0}, {.id = 2, .val.value = 1}};
    launch_config config = {1, 1, 1, 64, 1, 1, 64 * 4, 0, attributes, 2};
    OK(cuLaunchKernelEx(&config, function("through"), parameters, NULL));
    through_of(expected, 64);
    words_are(q, expected, 64);
    config.bx = 0;
    IS(1, cuLaunchKernelEx(&config, function("through"), parameters, NULL));
    OK(cuMemFree(q));
}

static u32 *seen_by_host, host_saw;
static void look(void *data) { host_saw = *seen_by_host ^ *(u32 *)data ; }


CASE(host_function_in_its_place, "cuLaunchHostFunc")
{
    u32 key = random_u32();
    u64 stream = 0, q;
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemHostAlloc((void **)&seen_by_host, 64, 0));
    q = (u64)seen_by_host;
    seen_by_host[0] = 5;
    host_saw = 0;
    run_affine(q, q, 1, stream);
    OK(cuLaunchHostFunc(stream, look, &key));
    run_affine(q, q, 1, stream);
    OK(cuStreamSynchronize(stream));
    IS((5 * factor + term) ^ key, host_saw);
    IS((5 * factor + term) * factor + term, seen_by_host[0]);
    IS(1, cuLaunchHostFunc(stream, NULL, &key));
    OK(cuMemFreeHost(seen_by_host));
    OK(cuStreamDestroy(stream));
}

static u64 called_with;
static int called_status;
static void called(u64 stream, int status, void *data) { called_with = stream; called_status = status; *(int *)data += 1; }

CASE(stream_callback_gets_its_stream, "cuStreamAddCallback")
{
    u64 stream = 0;
    int count = 41;
    called_status = 77;
    OK(cuStreamCreate(&stream, 1));
    OK(cuStreamAddCallback(stream, called, &count, 0));
    OK(cuStreamSynchronize(stream));
    IS(42, count);
    IS(stream, called_with);
    IS(0, called_status);
    IS(1, cuStreamAddCallback(stream, NULL, &count, 0));
    OK(cuStreamDestroy(stream));
}

CASE(old_launches, "cuFuncSetBlockShape cuFuncSetSharedSize cuParamSetSize cuParamSeti cuParamSetv cuParamSetf cuLaunch cuLaunchGrid cuLaunchGridAsync")
{
    u64 f = function("affine"), g = function("through"), q = device_words(NULL, N), p;
    u32 n = N;
    float as_float = 1;
    fill_random(in, sizeof in);
    affine_of(expected, in, N);
    p = device_words(in, N);
    OK(cuFuncSetBlockShape(f, 64, 1, 1));
    OK(cuParamSetSize(f, 20));
    OK(cuParamSetv(f, 0, &q, 8));
    OK(cuParamSetv(f, 8, &p, 8));
    OK(cuParamSeti(f, 16, n));
    OK(cuLaunchGrid(f, (N + 63) / 64, 1));
    words_are(q, expected, N);
    affine_of(in, expected, N);
    OK(cuParamSetv(f, 8, &q, 8));
    OK(cuLaunchGridAsync(f, (N + 63) / 64, 1, 0));
    words_are(q, in, N);
    OK(cuFuncSetBlockShape(g, 32, 1, 1));
    OK(cuFuncSetSharedSize(g, 32 * 4));
    OK(cuParamSetSize(g, 8));
    OK(cuParamSetv(g, 0, &q, 8));
    OK(cuLaunch(g));
    through_of(expected, 32);
    words_are(q, expected, 32);
    IS(1, cuParamSetf(g, -1, as_float));
    // As a float: its bits are the number of words.
    memcpy(&as_float, &n, 4);
    OK(cuParamSetv(f, 8, &p, 8));
    OK(cuParamSeti(f, 16, 0));
    OK(cuParamSetf(f, 16, as_float));
    OK(cuLaunchGrid(f, (N + 63) / 64, 1));
    OK(cuMemcpyDtoH(in, p, sizeof in));
    affine_of(expected, in, N);
    words_are(q, expected, N);
    IS(1, cuFuncSetBlockShape(g, 0, 1, 1));
    IS(1, cuFuncSetSharedSize(g, 1 << 30) ? 1 : cuLaunch(g));
    OK(cuFuncSetSharedSize(g, 32 * 4));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}
