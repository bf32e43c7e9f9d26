// Start, errors, devices.
#include "surface.h"

EARLY(before_init_nothing_is_answered, "cuProfilerStart cuProfilerStop cuDeviceGetCount cuThreadExchangeStreamCaptureMode cuCtxGetCurrent")
{
    int n = -1;
    u64 context = 7;
    IS(3, cuDeviceGetCount(&n));
    IS(3, cuProfilerStart());
    IS(3, cuProfilerStop());
    IS(3, cuThreadExchangeStreamCaptureMode(&n));
    IS(3, cuCtxGetCurrent(&context));
}

EARLY(init_starts_the_driver, "cuInit")
{
    int n = -1;
    IS(1, cuInit(1));
    IS(3, cuDeviceGetCount(&n));
    OK(cuInit(0));
    OK(cuInit(0));
    OK(cuDeviceGetCount(&n));
    TRUE(n >= 1);
}

EARLY(version_and_error_names_need_no_init, "cuDriverGetVersion cuGetErrorName cuGetErrorString")
{
    int version = -1;
    const char *name = NULL;
    IS(1, cuDriverGetVersion(NULL));
    OK(cuDriverGetVersion(&version));
    TRUE(version >= 11080 && version % 10 == 0);
    OK(cuGetErrorName(700, &name));
    TRUE(!strcmp(name, "CUDA_ERROR_ILLEGAL_ADDRESS"));
    OK(cuGetErrorString(2, &name));
    TRUE(!strcmp(name, "out of memory"));
    IS(1, cuGetErrorName(4711, &name));
    TRUE(name == NULL);
    IS(1, cuGetErrorString(4711, &name));
}

EARLY(resolver_gives_the_symbols_of_a_version, "cuGetProcAddress")
{
    void *f = NULL;
    int status = -1;
    OK(cuGetProcAddress("cuMemAlloc", &f, 12000, 0, &status));
    TRUE(f && f == find_symbol("cuMemAlloc_v2") && status == 0);
    OK(cuGetProcAddress("cuStreamQuery", &f, 12000, 2, &status));
    TRUE(f == find_symbol("cuStreamQuery_ptsz"));
    OK(cuGetProcAddress("cuStreamQuery", &f, 12000, 0, NULL));
    TRUE(f == find_symbol("cuStreamQuery"));
    OK(cuGetProcAddress("cuNoSuchThing", &f, 12000, 0, &status));
    TRUE(f == NULL && status == 1);
    OK(cuGetProcAddress_first("cuCtxDestroy", &f, 11030, 0));
    TRUE(f == find_symbol("cuCtxDestroy_v2"));
    IS(500, cuGetProcAddress_first("cuNoSuchThing", &f, 11030, 0));
}

EARLY(export_table_of_the_runtime_has_its_size, "cuGetExportTable")
{
    static const unsigned char runtime[16] = {0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9}, unknown[16] = {1};
    void *table = NULL;
    OK(cuGetExportTable(&table, runtime));
    size_t bytes = *(size_t *)table;
    TRUE(bytes >= 80 && bytes <= 1024 && bytes % 8 == 0 && ((void **)table)[2]);
    TRUE(cuGetExportTable(&table, unknown) != 0);
}

CASE(profiler_and_loading_mode, "cuProfilerStart cuProfilerStop cuModuleGetLoadingMode")
{
    int mode = -1;
    OK(cuProfilerStart());
    OK(cuProfilerStop());
    OK(cuModuleGetLoadingMode(&mode));
    TRUE(mode == 1 || mode == 2);
}

CASE(devices_are_numbered_from_0, "cuDeviceGetCount cuDeviceGet")
{
    int n = -1, d = -1;
    OK(cuDeviceGetCount(&n));
    TRUE(n >= 1 && n < 64);
    for (int i = 0; i < n; i++) { OK(cuDeviceGet(&d, i)); IS(i, d); }
    IS(101, cuDeviceGet(&d, n));
    IS(101, cuDeviceGet(&d, -1));
}

KEPT(name_and_memory, "cuDeviceGetName cuDeviceTotalMem cuMemGetInfo")
{
    char text[256] = "", cut[4] = "";
    size_t bytes = 0, free = 0, total = 0;
    OK(cuDeviceGetName(text, sizeof text, device));
    TRUE(strlen(text) > 3);
    OK(cuDeviceGetName(cut, sizeof cut, device));
    TRUE(!strncmp(cut, text, 3) && strlen(cut) == 3);
    OK(cuDeviceTotalMem(&bytes, device));
    TRUE(bytes >= 256 << 20);
    OK(cuMemGetInfo(&free, &total));
    TRUE(free <= total && free > 0);
    IS(bytes, total);
}
FOUND(name_and_memory) { name_and_memory(); }

static int attribute(int number) { int v = -1; OK(cuDeviceGetAttribute(&v, number, device)); return v; }
static int first_major;
static unsigned char first_uuid[16];

KEPT(identity, "cuDeviceGetUuid cuDeviceGetAttribute cuDeviceComputeCapability")
{
    int major = -1, minor = -1;
    unsigned char zero[16] = {0};
    IS(32, attribute(10));
    TRUE(attribute(1) >= 512);
    IS(1, cuDeviceGetAttribute(&major, 100000, device));
    first_major = attribute(75);
    OK(cuDeviceComputeCapability(&major, &minor, device));
    IS(first_major, major);
    IS(attribute(76), minor);
    OK(cuDeviceGetUuid(first_uuid, device));
    TRUE(memcmp(first_uuid, zero, 16));
}
FOUND(identity)
{
    unsigned char uuid[16] = {0};
    OK(cuDeviceGetUuid(uuid, device));
    TRUE(!memcmp(uuid, first_uuid, 16));
    IS(first_major, attribute(75));
}

CASE(old_properties_are_the_attributes, "cuDeviceGetProperties cuDeviceGetAttribute")
{
    int p[14];
    memset(p, 0xee, sizeof p);
    OK(cuDeviceGetProperties(p, device));
    IS(attribute(1), p[0]);
    IS(attribute(2), p[1]);
    IS(attribute(10), p[9]);
    IS(attribute(14), p[13]);
}

CASE(bus_id_leads_back_to_the_device, "cuDeviceGetPCIBusId cuDeviceGetByPCIBusId cuDeviceGetAttribute")
{
    char text[32] = "", expected[32];
    int d = -1;
    OK(cuDeviceGetPCIBusId(text, sizeof text, device));
    sprintf(expected, "%04x:%02x:%02x.0", attribute(50), attribute(33), attribute(34));
    TRUE(!strcasecmp(text, expected));
    OK(cuDeviceGetByPCIBusId(&d, text));
    IS(device, d);
    IS(101, cuDeviceGetByPCIBusId(&d, "7777:66:55.0"));
    IS(1, cuDeviceGetPCIBusId(text, 4, device));
}

CASE(no_affinity, "cuDeviceGetExecAffinitySupport")
{
    int v = 77;
    OK(cuDeviceGetExecAffinitySupport(&v, 0, device));
    IS(0, v);
    IS(1, cuDeviceGetExecAffinitySupport(&v, 77, device));
}

CASE(peers, "cuDeviceCanAccessPeer cuDeviceGetP2PAttribute")
{
    int n = 0, v = 77;
    OK(cuDeviceGetCount(&n));
    OK(cuDeviceCanAccessPeer(&v, device, device));
    IS(0, v);
    IS(101, cuDeviceCanAccessPeer(&v, device, n));
    IS(101, cuDeviceGetP2PAttribute(&v, 2, device, device));
    IS(101, cuDeviceGetP2PAttribute(&v, 2, device, n));
}

KEPT(own_pool_of_the_device, "cuDeviceGetDefaultMemPool cuDeviceGetMemPool")
{
    u64 own = 0, used = 1;
    OK(cuDeviceGetDefaultMemPool(&own, device));
    TRUE(own != 0);
    OK(cuDeviceGetMemPool(&used, device));
    IS(own, used);
    IS(101, cuDeviceGetDefaultMemPool(&own, 63));
    IS(101, cuDeviceGetMemPool(&own, 63));
}
FOUND(own_pool_of_the_device) { own_pool_of_the_device(); }

KEPT(graphics_is_refused_by_name, "")
{
    int (*refused)(void) = find_symbol("cuGLInit");
    TRUE(refused != NULL);
    IS(801, refused());
}
FOUND(graphics_is_refused_by_name) { graphics_is_refused_by_name(); }
