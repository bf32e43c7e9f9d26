// Libraries: images that are modules in every context.
#include "surface.h"
#include <unistd.h>

#define N 16

static u64 library, kernel, global;
static u32 words[N];

static void affine_works(u64 f)
{
    u32 in[N], out[N], n = N;
    u64 p;
    fill_random(in, sizeof in);
    affine_of(out, in, N);
    p = device_words(in, N);
    void *parameters[] = {&p, &p, &n};
    OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, 0, parameters, NULL));
    words_are(p, out, N);
    OK(cuMemFree(p));
}

KEPT(library_with_kernels, "cuLibraryLoadData cuLibraryGetKernel cuLibraryGetGlobal cuLibraryGetModule cuKernelGetFunction")
{
    u64 m = 0, f = 0, none = 0;
    size_t bytes = 0;
    OK(cuLibraryLoadData(&library, module_text(), NULL, NULL, 0, NULL, NULL, 0));
    TRUE(library != 0);
    OK(cuLibraryGetKernel(&kernel, library, "affine"));
    TRUE(kernel != 0);
    IS(500, cuLibraryGetKernel(&none, library, "no_such_kernel"));
    OK(cuLibraryGetGlobal(&global, &bytes, library, "table"));
    IS(64, bytes);
    fill_random(words, sizeof words);
    OK(cuMemcpyHtoD(global, words, sizeof words));
    OK(cuLibraryGetModule(&m, library));
    OK(cuModuleGetFunction(&f, m, "affine"));
    OK(cuKernelGetFunction(&none, kernel));
    IS(f, none);
    affine_works(kernel);
    IS(400, cuLibraryGetModule(&m, 0x123456));
}
FOUND(library_with_kernels)
{
    u64 f = 0, again = 0, own = 0, popped = 0;
    affine_works(kernel);
    OK(cuKernelGetFunction(&f, kernel));
    affine_works(f);
    words_are(global, words, N);
    // In another context the same kernel is another function, with globals of its own.
    OK(cuCtxCreate(&own, 0, device));
    affine_works(kernel);
    OK(cuKernelGetFunction(&again, kernel));
    TRUE(again != 0 && again != f);
    OK(cuLibraryGetGlobal(&again, NULL, library, "table"));
    TRUE(again != global);
    OK(cuCtxPopCurrent(&popped));
    OK(cuCtxDestroy(own));
    affine_works(kernel);
}

CASE(kernels_in_a_graph_and_their_attributes, "cuKernelGetAttribute cuKernelSetAttribute cuKernelSetCacheConfig cuLibraryUnload")
{
    u64 mine = 0, limited = 0, through = 0, f = 0, p = device_words(NULL, 64);
    int value = -7;
    void *parameters[] = {&p};
    OK(cuLibraryLoadData(&mine, module_text(), NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernel(&limited, mine, "limited"));
    OK(cuKernelGetAttribute(&value, 0, limited, device));
    IS(64, value);
    OK(cuLibraryGetKernel(&through, mine, "through"));
    OK(cuKernelSetAttribute(8, 60000, through, device));
    OK(cuKernelGetAttribute(&value, 8, through, device));
    IS(60000, value);
    OK(cuLaunchKernel(through, 1, 1, 1, 32, 1, 1, 59000, 0, parameters, NULL));
    OK(cuCtxSynchronize());
    OK(cuKernelSetCacheConfig(through, 1, device));
    IS(400, cuKernelSetCacheConfig(0x123456, 1, device));
    u64 graph = 0, node = 0, exec = 0;
    kernel_node n = {.gx = 1, .gy = 1, .gz = 1, .bx = 64, .by = 1, .bz = 1, .parameters = parameters, .kernel = limited};
    u32 expected[64];
    OK(cuGraphCreate(&graph, 0));
    OK(cuGraphAddKernelNode(&node, graph, NULL, 0, &n));
    OK(cuGraphInstantiate(&exec, graph, NULL, NULL, 0));
    OK(cuGraphLaunch(exec, 0));
    for (int i = 0; i < 64; i++) expected[i] = i;
    words_are(p, expected, 64);
    OK(cuGraphExecDestroy(exec));
    OK(cuGraphDestroy(graph));
    OK(cuKernelGetFunction(&f, limited));
    OK(cuLibraryUnload(mine));
    IS(400, cuLaunchKernel(limited, 1, 1, 1, 32, 1, 1, 0, 0, parameters, NULL));
    IS(400, cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, 0, parameters, NULL));
    IS(400, cuLibraryUnload(mine));
    OK(cuMemFree(p));
}

CASE(library_from_a_file, "cuLibraryLoadFromFile")
{
    char path[] = "/tmp/surface-XXXXXX";
    u64 mine = 0, k = 0;
    int fd = mkstemp(path);
    TRUE(fd >= 0 && write(fd, module_text(), strlen(module_text())) > 0);
    close(fd);
    int result = cuLibraryLoadFromFile(&mine, path, NULL, NULL, 0, NULL, NULL, 0);
    unlink(path);
    OK(result);
    OK(cuLibraryGetKernel(&k, mine, "affine"));
    affine_works(k);
    OK(cuLibraryUnload(mine));
    IS(301, cuLibraryLoadFromFile(&mine, path, NULL, NULL, 0, NULL, NULL, 0));
}
