// Modules and functions.
#include "surface.h"
#include <fcntl.h>
#include <unistd.h>

static u64 made, made_function, made_table;
static u32 table_words[16];

static void affine_works(u64 m)
{
    u32 in[8], out[8], n = 8;
    u64 f = 0, p;
    fill_random(in, sizeof in);
    affine_of(out, in, 8);
    OK(cuModuleGetFunction(&f, m, "affine"));
    TRUE(f != 0);
    p = device_words(in, 8);
    void *parameters[] = {&p, &p, &n};
    OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, 0, parameters, NULL));
    words_are(p, out, 8);
    OK(cuMemFree(p));
}

KEPT(module_with_globals, "cuModuleLoadData cuModuleGetFunction cuModuleGetGlobal")
{
    size_t bytes = 0;
    u64 nothing = 0;
    OK(cuModuleLoadData(&made, module_text()));
    TRUE(made != 0);
    OK(cuModuleGetFunction(&made_function, made, "tables"));
    OK(cuModuleGetGlobal(&made_table, &bytes, made, "table"));
    IS(64, bytes);
    fill_random(table_words, sizeof table_words);
    OK(cuMemcpyHtoD(made_table, table_words, sizeof table_words));
    IS(500, cuModuleGetFunction(&nothing, made, "no_such_kernel"));
    IS(500, cuModuleGetGlobal(&nothing, NULL, made, "no_such_variable"));
    TRUE(cuModuleLoadData(&nothing, ".version 6.4\n.target sm_52\nrubbish") != 0);
}
FOUND(module_with_globals)
{
    u64 again = 0, p = device_words(NULL, 16);
    u32 sum[16];
    void *parameters[] = {&p};
    OK(cuModuleGetGlobal(&again, NULL, made, "table"));
    IS(made_table, again);
    OK(cuLaunchKernel(made_function, 1, 1, 1, 16, 1, 1, 0, 0, parameters, NULL));
    for (int i = 0; i < 16; i++) sum[i] = table_words[i] + ramp[i];
    words_are(p, sum, 16);
    affine_works(made);
    OK(cuMemFree(p));
}

CASE(module_with_options, "cuModuleLoadDataEx")
{
    u64 m = 0;
    char log[64] = "";
    int options[] = {5, 6};
    void *values[] = {log, (void *)sizeof log};
    OK(cuModuleLoadDataEx(&m, module_text(), 2, options, values));
    affine_works(m);
    OK(cuModuleUnload(m));
    IS(1, cuModuleLoadDataEx(&m, module_text(), 2, NULL, values));
}

// A fat binary with one entry of plain PTX: header of 16 bytes, entry header of 64.
CASE(fat_binary, "cuModuleLoadFatBinary")
{
    const char *text = module_text();
    u64 m = 0, size = strlen(text) + 1, padded = (size + 7) / 8 * 8;
    unsigned char *image = calloc(1, 16 + 64 + padded);
    *(u32 *)image = 0xba55ed50;
    *(uint16_t *)(image + 4) = 1;
    *(uint16_t *)(image + 6) = 16;
    *(u64 *)(image + 8) = 64 + padded;
    unsigned char *entry = image + 16;
    *(uint16_t *)entry = 1; // PTX
    *(uint16_t *)(entry + 2) = 0x101;
    *(u32 *)(entry + 4) = 64;
    *(u64 *)(entry + 8) = padded;
    *(uint16_t *)(entry + 24) = 4;  // minor, major of the PTX version
    *(uint16_t *)(entry + 26) = 6;
    *(u32 *)(entry + 28) = 52;
    *(u64 *)(entry + 40) = 0x11; // 64-bit, for Linux
    memcpy(entry + 64, text, size);
    OK(cuModuleLoadFatBinary(&m, image));
    affine_works(m);
    OK(cuModuleUnload(m));
    free(image);
}

CASE(module_from_a_file, "cuModuleLoad")
{
    char path[] = "/tmp/surface-XXXXXX";
    u64 m = 0;
    int fd = mkstemp(path);
    TRUE(fd >= 0 && write(fd, module_text(), strlen(module_text())) > 0);
    close(fd);
    int result = cuModuleLoad(&m, path);
    unlink(path);
    OK(result);
    affine_works(m);
    OK(cuModuleUnload(m));
    IS(301, cuModuleLoad(&m, path));
}

CASE(unloaded_module_is_gone, "cuModuleUnload")
{
    u64 m = 0, f = 0, p = device_words(NULL, 16);
    OK(cuModuleLoadData(&m, module_text()));
    OK(cuModuleGetFunction(&f, m, "tables"));
    OK(cuModuleUnload(m));
    void *parameters[] = {&p};
    IS(400, cuLaunchKernel(f, 1, 1, 1, 16, 1, 1, 0, 0, parameters, NULL));
    TRUE(cuModuleGetFunction(&f, m, "affine") != 0);
    TRUE(cuModuleUnload(m) != 0);
    OK(cuMemFree(p));
}

KEPT(function_attributes, "cuFuncGetAttribute cuFuncSetAttribute")
{
    int value = -7;
    OK(cuFuncGetAttribute(&value, 0, function("limited")));
    IS(64, value);
    OK(cuFuncGetAttribute(&value, 0, function("affine")));
    TRUE(value >= 64 && value <= 1024);
    OK(cuFuncSetAttribute(function("through"), 8, 60000));
    OK(cuFuncGetAttribute(&value, 8, function("through")));
    IS(60000, value);
    IS(1, cuFuncGetAttribute(&value, 1000, function("affine")));
}
FOUND(function_attributes)
{
    int value = -7;
    u64 p = device_words(NULL, 32);
    void *parameters[] = {&p};
    OK(cuFuncGetAttribute(&value, 8, function("through")));
    IS(60000, value);
    OK(cuLaunchKernel(function("through"), 1, 1, 1, 32, 1, 1, 59000, 0, parameters, NULL));
    OK(cuCtxSynchronize());
    TRUE(cuLaunchKernel(function("limited"), 1, 1, 1, 32, 1, 1, 59000, 0, parameters, NULL) != 0);
    OK(cuMemFree(p));
}

CASE(function_knows_its_module, "cuFuncGetModule")
{
    u64 m = 0;
    OK(cuFuncGetModule(&m, function("affine")));
    IS(module(), m);
    IS(400, cuFuncGetModule(&m, 0x123456));
}

CASE(function_hints_check_the_function, "cuFuncSetCacheConfig cuFuncSetSharedMemConfig")
{
    OK(cuFuncSetCacheConfig(function("affine"), 1));
    OK(cuFuncSetSharedMemConfig(function("affine"), 2));
    TRUE(cuFuncSetCacheConfig(0x123456, 1) != 0);
    TRUE(cuFuncSetSharedMemConfig(0x123456, 2) != 0);
}

static size_t four_per_thread(int block) { return 4 * block; }

CASE(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags cuOccupancyAvailableDynamicSMemPerBlock")
{
    u64 f = function("affine");
    int threads = 0, shared = 0, blocks = -1, with_flags = -1, with_shared = -1;
    size_t available = 0;
    OK(cuDeviceGetAttribute(&threads, 39, device));
    OK(cuDeviceGetAttribute(&shared, 81, device));
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 256, 0));
    TRUE(blocks >= 1 && blocks * 256 <= threads);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&with_flags, f, 256, 0, 0));
    IS(blocks, with_flags);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&with_shared, f, 256, 40000));
    TRUE(with_shared >= 0 && with_shared * 40000 <= shared && with_shared <= blocks);
    OK(cuOccupancyAvailableDynamicSMemPerBlock(&available, f, 2, 128));
    TRUE(available >= 1024 && 2 * available <= (size_t)shared);
}

CASE(best_block_size, "cuOccupancyMaxPotentialBlockSize cuOccupancyMaxPotentialBlockSizeWithFlags")
{
    u64 f = function("affine");
    int grid = -1, block = -1, multiprocessors = 0;
    OK(cuDeviceGetAttribute(&multiprocessors, 16, device));
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0));
    TRUE(block >= 32 && block <= 1024 && grid >= multiprocessors);
    OK(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, f, four_per_thread, 0, 96, 0));
    TRUE(block >= 32 && block <= 96 && grid >= multiprocessors);
    grid = block = -1;
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, function("limited"), NULL, 0, 0));
    TRUE(block >= 32 && block <= 64);
}

// A variable that both sides reach at one address; the kernel adds to it.
static u64 managed_module, managed_at;
static u32 managed_start, managed_added;
static const char managed_text[] =
    ".version 6.4\n.target sm_52\n.address_size 64\n.visible .global .attribute(.managed) .align 4 .u32 both[4] = {1, 2, 3, 4};\n.visible .global .align 4 .u32 ours;\n"
    ".visible .entry add(.param .u32 n)\n{\n.reg .b32 %r<3>;\nld.param.u32 %r1, [n];\nld.global.u32 %r2, [both+4];\nadd.u32 %r2, %r2, %r1;\nst.global.u32 [both+4], %r2;\nst.global.u32 [ours], %r2;\nret;\n}\n";

static void add_to_managed(u32 n)
{
    u64 f = 0;
    void *parameters[] = {&n};
    OK(cuModuleGetFunction(&f, managed_module, "add"));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    OK(cuCtxSynchronize());
}

KEPT(managed_variable, "cuModuleLoadData cuModuleGetGlobal cuPointerGetAttribute")
{
    size_t bytes = 0;
    int is_managed = 0;
    u32 *both, again = 0;
    u64 ours = 0;
    OK(cuModuleLoadData(&managed_module, managed_text));
    OK(cuModuleGetGlobal(&managed_at, &bytes, managed_module, "both"));
    IS(16, bytes);
    OK(cuPointerGetAttribute(&is_managed, 8, managed_at));
    IS(1, is_managed & 255);
    both = (u32 *)managed_at;
    IS(4, both[3]);
    both[1] = managed_start = random_u32();
    add_to_managed(managed_added = random_u32());
    IS(managed_start + managed_added, both[1]);
    OK(cuModuleGetGlobal(&ours, NULL, managed_module, "ours"));
    OK(cuMemcpyDtoH(&again, ours, 4));
    IS(managed_start + managed_added, again);
    IS(1, cuMemFree(managed_at));
}
FOUND(managed_variable)
{
    u64 again = 0;
    u32 *both = (u32 *)managed_at;
    OK(cuModuleGetGlobal(&again, NULL, managed_module, "both"));
    IS(managed_at, again);
    IS(managed_start + managed_added, both[1]);
    both[1]++;
    add_to_managed(7);
    IS(managed_start + managed_added + 8, both[1]);
    OK(cuModuleUnload(managed_module));
    IS(1, cuPointerGetAttribute(&again, 8, managed_at));
}
