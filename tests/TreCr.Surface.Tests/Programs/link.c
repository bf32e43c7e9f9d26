// Modules linked of several texts, and blocks that meet.
#include "surface.h"
#include <unistd.h>

// Both have a function and a variable `own`, which stay apart; one calls the other's `twice` and shares its `sum`.
#define HEAD ".version 6.4\n.target sm_52\n.address_size 64\n"
static const char caller[] = HEAD
    ".extern .func (.param .u32 r) twice(.param .u32 x);\n.extern .global .u32 sum;\n.global .u32 own = 5;\n"
    ".visible .entry call(.param .u64 out, .param .u32 x)\n{\n.reg .b32 %r<6>;\n.reg .b64 %d<2>;\n"
    "ld.param.u64 %d1, [out];\nld.param.u32 %r1, [x];\n"
    "{\n.param .u32 a;\n.param .u32 b;\nst.param.u32 [a], %r1;\ncall.uni (b), twice, (a);\nld.param.u32 %r2, [b];\n}\n"
    "ld.global.u32 %r3, [own];\nadd.u32 %r2, %r2, %r3;\nst.global.u32 [%d1], %r2;\nst.global.u32 [sum], %r2;\nret;\n}\n";
static const char callee[] = HEAD
    ".visible .global .u32 sum;\n.global .u32 own = 700;\n"
    ".visible .func (.param .u32 r) twice(.param .u32 x)\n{\n.reg .b32 %r<4>;\n"
    "ld.param.u32 %r1, [x];\nld.global.u32 %r2, [own];\nmad.lo.u32 %r3, %r1, 2, %r2;\nst.param.u32 [r], %r3;\nret;\n}\n";

static u64 linked_module;

static void call_it(void)
{
    u32 x = random_u32(), expected;
    u64 out = device_words(NULL, 1), f = 0, sum = 0;
    void *parameters[] = {&out, &x};
    OK(cuModuleGetFunction(&f, linked_module, "call"));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    expected = 2 * x + 705;
    words_are(out, &expected, 1);
    OK(cuModuleGetGlobal(&sum, NULL, linked_module, "sum"));
    words_are(sum, &expected, 1);
    OK(cuMemFree(out));
}

KEPT(texts_become_one_module, "cuLinkCreate cuLinkAddData cuLinkAddFile cuLinkComplete cuLinkDestroy")
{
    u64 link = 0;
    void *image = NULL;
    size_t bytes = 0;
    char path[] = "/tmp/trecr-link-XXXXXX";
    int file = mkstemp(path);
    TRUE(file >= 0 && write(file, callee, sizeof callee) == sizeof callee);
    close(file);
    OK(cuLinkCreate(0, NULL, NULL, &link));
    IS(801, cuLinkAddData(link, 3, caller, sizeof caller, "object", 0, NULL, NULL));
    OK(cuLinkAddData(link, 1, caller, sizeof caller, "caller", 0, NULL, NULL));
    IS(301, cuLinkAddFile(link, 1, "/nowhere/at.all", 0, NULL, NULL));
    OK(cuLinkAddFile(link, 1, path, 0, NULL, NULL));
    unlink(path);
    OK(cuLinkComplete(link, &image, &bytes));
    TRUE(image != NULL && bytes > sizeof caller);
    OK(cuModuleLoadData(&linked_module, image));
    OK(cuLinkDestroy(link));
    IS(400, cuLinkDestroy(link));
    call_it();
    // Twice the same name.
    OK(cuLinkCreate(0, NULL, NULL, &link));
    OK(cuLinkAddData(link, 1, callee, sizeof callee, "one", 0, NULL, NULL));
    OK(cuLinkAddData(link, 1, callee, sizeof callee, "two", 0, NULL, NULL));
    IS(218, cuLinkComplete(link, &image, &bytes));
    OK(cuLinkDestroy(link));
}
FOUND(texts_become_one_module)
{
    call_it();
    OK(cuModuleUnload(linked_module));
}

// Each block adds one to the barrier word of the grid's workspace, and waits until all have.
static const char meeting[] = HEAD
    ".visible .entry meet(.param .u64 out)\n{\n.reg .pred %p;\n.reg .b32 %r<8>;\n.reg .b64 %d<6>;\n"
    "ld.param.u64 %d1, [out];\nmov.u32 %r1, %envreg1;\nmov.u32 %r2, %envreg2;\nmov.b64 %d2, {%r2, %r1};\nmov.u32 %r3, %nctaid.x;\nmov.u32 %r4, %ctaid.x;\n"
    "atom.add.u32 %r5, [%d2+4], 1;\nWAIT:\nld.volatile.u32 %r6, [%d2+4];\nsetp.lt.u32 %p, %r6, %r3;\n@%p bra WAIT;\n"
    "mul.wide.u32 %d3, %r4, 4;\nadd.u64 %d4, %d1, %d3;\nst.global.u32 [%d4], %r6;\nret;\n}\n";

CASE(blocks_meet, "cuLaunchCooperativeKernel")
{
    enum { BLOCKS = 12 };
    u32 expected[BLOCKS];
    u64 m = 0, f = 0, out = device_words(NULL, BLOCKS);
    void *parameters[] = {&out};
    OK(cuModuleLoadData(&m, meeting));
    OK(cuModuleGetFunction(&f, m, "meet"));
    for (int turn = 0; turn < 2; turn++) {
        OK(cuMemsetD32(out, 0, BLOCKS));
        OK(cuLaunchCooperativeKernel(f, BLOCKS, 1, 1, 1, 1, 1, 0, 0, parameters));
        for (int i = 0; i < BLOCKS; i++) expected[i] = BLOCKS;
        words_are(out, expected, BLOCKS);
    }
    OK(cuModuleUnload(m));
    OK(cuMemFree(out));
}

// remember(out, value): each thread puts value + its number into memory of malloc; recall(out, values): reads it back and frees it.
static const char heap[] = HEAD
    ".extern .func (.param .b64 r) malloc(.param .b64 n);\n.extern .func free(.param .b64 p);\n"
    ".visible .entry remember(.param .u64 out, .param .u32 value, .param .u64 bytes)\n{\n.reg .pred %p;\n.reg .b32 %r<4>;\n.reg .b64 %d<7>;\n"
    "ld.param.u64 %d1, [out];\nld.param.u32 %r1, [value];\nld.param.u64 %d6, [bytes];\nmov.u32 %r2, %tid.x;\nadd.u32 %r3, %r1, %r2;\n"
    "{\n.param .b64 n;\n.param .b64 r;\nst.param.b64 [n], %d6;\ncall.uni (r), malloc, (n);\nld.param.b64 %d2, [r];\n}\n"
    "mul.wide.u32 %d3, %r2, 8;\nadd.u64 %d4, %d1, %d3;\nst.global.u64 [%d4], %d2;\nsetp.eq.u64 %p, %d2, 0;\n@%p ret;\nst.u32 [%d2], %r3;\nret;\n}\n"
    ".visible .entry recall(.param .u64 out, .param .u64 values)\n{\n.reg .b32 %r<4>;\n.reg .b64 %d<9>;\n"
    "ld.param.u64 %d1, [out];\nld.param.u64 %d5, [values];\nmov.u32 %r2, %tid.x;\nmul.wide.u32 %d3, %r2, 8;\nadd.u64 %d4, %d1, %d3;\nld.global.u64 %d2, [%d4];\nld.u32 %r1, [%d2];\n"
    "mul.wide.u32 %d6, %r2, 4;\nadd.u64 %d7, %d5, %d6;\nst.global.u32 [%d7], %r1;\n{\n.param .b64 p;\nst.param.b64 [p], %d2;\ncall.uni free, (p);\n}\nret;\n}\n";

enum { THREADS = 40 };
static u64 heap_module, heap_pointers;
static u32 heap_value;

static void remember(u64 into, u64 bytes)
{
    u64 f = 0;
    void *parameters[] = {&into, &heap_value, &bytes};
    OK(cuModuleGetFunction(&f, heap_module, "remember"));
    OK(cuLaunchKernel(f, 1, 1, 1, THREADS, 1, 1, 0, 0, parameters, NULL));
    OK(cuCtxSynchronize());
}

static void recall(u64 pointers)
{
    u32 expected[THREADS];
    u64 f = 0, values = device_words(NULL, THREADS);
    void *parameters[] = {&pointers, &values};
    OK(cuModuleGetFunction(&f, heap_module, "recall"));
    OK(cuLaunchKernel(f, 1, 1, 1, THREADS, 1, 1, 0, 0, parameters, NULL));
    for (int i = 0; i < THREADS; i++) expected[i] = heap_value + i;
    words_are(values, expected, THREADS);
    OK(cuMemFree(values));
}

KEPT(memory_of_malloc_in_kernels, "cuLaunchKernel")
{
    u64 pointers[THREADS], other = device_words(NULL, 2 * THREADS);
    heap_value = random_u32();
    OK(cuModuleLoadData(&heap_module, heap));
    heap_pointers = device_words(NULL, 2 * THREADS);
    remember(heap_pointers, 24);
    OK(cuMemcpyDtoH(pointers, heap_pointers, sizeof pointers));
    for (int i = 0; i < THREADS; i++) TRUE(pointers[i] % 16 == 0 && pointers[i] && (i == 0 || pointers[i] != pointers[i - 1]));
    // 8 MiB are there by default: two of 4 MiB with their headers are not.
    remember(other, 4 << 20);
    OK(cuMemcpyDtoH(pointers, other, sizeof pointers));
    IS(0, pointers[THREADS - 1]);
    OK(cuMemFree(other));
}
FOUND(memory_of_malloc_in_kernels)
{
    recall(heap_pointers);
    // What was freed is given again.
    remember(heap_pointers, 24);
    recall(heap_pointers);
    OK(cuModuleUnload(heap_module));
    OK(cuMemFree(heap_pointers));
}
