// What a program sees of the device, and modules of two kinds: PTX, and with the argument "machine" machine code too (an ELF file with one kernel's section).
// Between loading them and its end it waits for the file TRECR_SAMPLE_HOLD; then a variable of the device must be as it was.
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include "../offload/mark.h"

static const char ptx[] = ".version 6.4\n.target sm_70\n.address_size 64\n.visible .entry nothing(.param .u64 p, .param .u32 n)\n{\nret;\n}\n";

static void *library;

#define CALL(name, ...) do { int (*f)() = dlsym(library, name); int r = f ? f(__VA_ARGS__) : -1; if (r) { printf("%s: %d\n", name, r); return 3; } } while (0)

// 64 bytes of header, a table of three sections (null, names, the kernel's) and the names.
static unsigned char elf[512];
static size_t make_elf(void)
{
    static const char names[] = "\0.shstrtab\0.text.only_machine_code";
    const size_t table = 64, at = table + 3 * 64;
    memcpy(elf, "\177ELF\2\1\1", 7);
    *(uint16_t *)(elf + 0x10) = 2; *(uint16_t *)(elf + 0x12) = 190; *(uint32_t *)(elf + 0x14) = 1; // executable, EM_CUDA
    *(uint64_t *)(elf + 0x28) = table;
    *(uint16_t *)(elf + 0x34) = 64; *(uint16_t *)(elf + 0x3A) = 64; *(uint16_t *)(elf + 0x3C) = 3; *(uint16_t *)(elf + 0x3E) = 1;
    unsigned char *section = elf + table + 64;
    *(uint32_t *)section = 1; *(uint32_t *)(section + 4) = 3; *(uint64_t *)(section + 0x18) = at; *(uint64_t *)(section + 0x20) = sizeof names;
    section += 64;
    *(uint32_t *)section = 11; *(uint32_t *)(section + 4) = 1; *(uint64_t *)(section + 0x18) = at + sizeof names; *(uint64_t *)(section + 0x20) = 16;
    memcpy(elf + at, names, sizeof names);
    return at + sizeof names + 16;
}

int main(int argc, char **argv)
{
    int device, major, minor, shared, cluster;
    void *context, *module, *machine, *function;
    uint64_t memory;
    unsigned char back[32];
    begin();
    library = dlopen("libcuda.so.1", RTLD_NOW);
    CALL("cuInit", 0);
    CALL("cuDeviceGet", &device, 0);
    CALL("cuDeviceGetAttribute", &major, 75, device);
    CALL("cuDeviceGetAttribute", &minor, 76, device);
    CALL("cuDeviceGetAttribute", &shared, 97, device);
    CALL("cuDeviceGetAttribute", &cluster, 120, device);
    printf("capability %d.%d, shared %d, clusters %d\n", major, minor, shared, cluster);
    CALL("cuDevicePrimaryCtxRetain", &context, device);
    CALL("cuCtxSetCurrent", context);
    CALL("cuModuleLoadData", &module, ptx);
    CALL("cuModuleGetFunction", &function, module, "nothing");
    if (argc > 1 && !strcmp(argv[1], "machine")) {
        make_elf();
        CALL("cuModuleLoadData", &machine, elf);
    }
    CALL("cuMemAlloc_v2", &memory, (size_t)32);
    CALL("cuMemcpyHtoD_v2", memory, nonce, (size_t)32);
    wait_for_release();
    uint32_t n = 0;
    void *parameters[] = {&memory, &n};
    CALL("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, (void *)0, parameters, (void **)0);
    CALL("cuMemcpyDtoH_v2", back, memory, (size_t)32);
    if (memcmp(back, nonce, 32)) { printf("other bytes\n"); return 1; }
    mark("end");
    return 0;
}
