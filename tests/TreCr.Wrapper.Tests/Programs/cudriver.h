// Declarations of our own of the driver API functions that the test programs use, looked up by name in libcuda.so.1.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *cuda_library;

static void *find(const char *name)
{
    if (!cuda_library) cuda_library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!cuda_library) { printf("FAIL dlopen: %s\n", dlerror()); exit(2); }
    void *f = dlsym(cuda_library, name);
    if (!f) { printf("FAIL no symbol %s\n", name); exit(2); }
    return f;
}

// Every call by name, result int; arguments as the ABI has them (all integers or pointers).
#define CALL(name, ...) (((int (*)())find(#name))(__VA_ARGS__))

static int failures;

#define CHECK(condition) do { if (!(condition)) { failures++; printf("FAIL line %d: %s\n", __LINE__, #condition); } } while (0)
#define IS(expected, call) do { int r_ = (call); if (r_ != (expected)) { failures++; printf("FAIL line %d: %s = %d, not %d\n", __LINE__, #call, r_, (expected)); } } while (0)
