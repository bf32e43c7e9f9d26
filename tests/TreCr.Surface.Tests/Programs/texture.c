// Arrays, textures and surfaces. Expected values follow the rules of the programming guide ("Texture Fetching"), computed here.
#include "surface.h"

enum { WRAP, CLAMP, MIRROR, BORDER, BYTE = 1, WORD = 3, FLOAT = 0x20, LAYERED = 1, SURFACE = 2, CUBE = 4 };
#define W 12
#define H 7

// pick2d(float *out, texture, float *xy, n): out[i] = tex2D(xy[2i], xy[2i+1]); pick3d; layer; cube; line: by index; level: with a level of detail; words: unsigned; gather: four of channel 0.
// paint(surface): word at (x, y) becomes x * 16 + y + itself.
static const char text[] =
    ".version 6.4\n.target sm_52\n.address_size 64\n"
#define HEAD(name) ".visible .entry " name "(.param .u64 out, .param .u64 tex, .param .u64 in)\n{\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n.reg .b64 %d<9>;\n" \
    "ld.param.u64 %d1, [out];\nld.param.u64 %d2, [tex];\nld.param.u64 %d3, [in];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %d4, %r1, 16;\nadd.u64 %d3, %d3, %d4;\nadd.u64 %d1, %d1, %d4;\n" \
    "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%d3];\n"
#define TAIL "st.global.v4.f32 [%d1], {%f5, %f6, %f7, %f8};\nret;\n}\n"
    HEAD("pick2d") "tex.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f2}];\n" TAIL
    HEAD("pick3d") "tex.3d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f2, %f3, %f3}];\n" TAIL
    HEAD("layer") "cvt.rzi.u32.f32 %r2, %f3;\ntex.a2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%r2, %f1, %f2, %f2}];\n" TAIL
    HEAD("cube") "tex.cube.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f2, %f3, %f3}];\n" TAIL
    HEAD("line") "cvt.rzi.s32.f32 %r2, %f1;\ntex.1d.v4.f32.s32 {%f5, %f6, %f7, %f8}, [%d2, {%r2}];\n" TAIL
    HEAD("level") "tex.level.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f2}], %f3;\n" TAIL
    HEAD("gather") "tld4.r.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%d2, {%f1, %f2}];\n" TAIL
    HEAD("words") "tex.2d.v4.u32.f32 {%r5, %r6, %r7, %r8}, [%d2, {%f1, %f2}];\nst.global.v4.u32 [%d1], {%r5, %r6, %r7, %r8};\nret;\n}\n"
    HEAD("asked") "txq.width.b32 %r5, [%d2];\ntxq.height.b32 %r6, [%d2];\nmov.u32 %r7, 0;\nmov.u32 %r8, 0;\nst.global.v4.u32 [%d1], {%r5, %r6, %r7, %r8};\nret;\n}\n"
    ".visible .entry paint(.param .u64 surface)\n{\n.reg .b32 %r<9>;\n.reg .b64 %d<3>;\n"
    "ld.param.u64 %d1, [surface];\nmov.u32 %r1, %tid.x;\nmov.u32 %r2, %tid.y;\nshl.b32 %r3, %r1, 2;\nsuld.b.2d.b32.trap {%r4}, [%d1, {%r3, %r2}];\n"
    "shl.b32 %r5, %r1, 4;\nadd.u32 %r5, %r5, %r2;\nadd.u32 %r5, %r5, %r4;\nsust.b.2d.b32.trap [%d1, {%r3, %r2}], {%r5};\n"
    // Outside: zero comes back, nothing is written.
    "suld.b.2d.b32.zero {%r6}, [%d1, {-4, 0}];\nsust.b.2d.b32.zero [%d1, {0, 1000}], {%r5};\nadd.u32 %r7, %r6, %r5;\nsust.b.2d.b32.clamp [%d1, {%r3, %r2}], {%r7};\nret;\n}\n";

static u64 kernels(void)
{
    static u64 loaded;
    if (!loaded) OK(cuModuleLoadData(&loaded, text));
    return loaded;
}

typedef struct { float x, y, z, w; } four;

// Runs a kernel of n threads.
static void run(const char *name, four *out, u64 texture, const four *in, int n)
{
    u64 f = 0, from = device_words((const u32 *)in, n * 4), to = device_words(NULL, n * 4);
    void *parameters[] = {&to, &texture, &from};
    OK(cuModuleGetFunction(&f, kernels(), name));
    OK(cuLaunchKernel(f, 1, 1, 1, n, 1, 1, 0, 0, parameters, NULL));
    OK(cuMemcpyDtoH(out, to, n * sizeof *out));
    OK(cuMemFree(from));
    OK(cuMemFree(to));
}

static void near_to(float expected, float found)
{
    if (!(found - expected < 1e-4f && expected - found < 1e-4f)) fail(__FILE__, __LINE__, "texel * 1000", found * 1000, expected * 1000);
}

static u64 float_array(const float *from, u32 flags)
{
    u64 array = 0;
    box_shape shape = {W, H, 0, FLOAT, 1, flags};
    CUDA_MEMCPY2D copy = {.srcMemoryType = 1, .srcHost = from, .srcPitch = W * 4, .dstMemoryType = 3, .WidthInBytes = W * 4, .Height = H};
    OK(cuArray3DCreate(&array, &shape));
    copy.dstArray = array;
    OK(cuMemcpy2D(&copy));
    return array;
}

static u64 texture_of(u64 array, u32 mode, u32 filter, u32 flags)
{
    u64 texture = 0;
    resource_desc resource = {.handle = array};
    texture_desc how = {.address = {mode, mode, mode}, .filter = filter, .flags = flags, .border = {3, 4, 5, 6}};
    OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
    return texture;
}

static float noise[W * H];
static void fresh(void) { for (int i = 0; i < W * H; i++) noise[i] = random_u32() % 1000; }
static float at(int x, int y) { return noise[(y < 0 ? 0 : y >= H ? H - 1 : y) * W + (x < 0 ? 0 : x >= W ? W - 1 : x)]; }

CASE(array_keeps_its_rows, "cuArrayCreate cuArrayGetDescriptor cuArrayDestroy cuMemcpyHtoA cuMemcpyAtoH cuMemcpyAtoA cuMemcpyDtoA cuMemcpyAtoD")
{
    u64 a = 0, b = 0, p;
    array_shape shape = {W, H, FLOAT, 1}, found = {0};
    float back[W * H];
    size_t free_before, free_with, total;
    array_shape big = {2048, 1024, FLOAT, 1};
    OK(cuMemGetInfo(&free_before, &total));
    OK(cuArrayCreate(&a, &big));
    OK(cuMemGetInfo(&free_with, &total));
    TRUE(free_with <= free_before - (8 << 20));
    OK(cuArrayDestroy(a));
    OK(cuMemGetInfo(&free_with, &total));
    IS(free_before, free_with);
    OK(cuArrayCreate(&a, &shape));
    OK(cuArrayCreate(&b, &shape));
    OK(cuArrayGetDescriptor(&found, a));
    TRUE(!memcmp(&found, &shape, sizeof shape));
    fresh();
    OK(cuMemcpyHtoA(a, 0, noise, sizeof noise));
    memset(back, 0, sizeof back);
    OK(cuMemcpyAtoH(back, a, 0, sizeof back));
    TRUE(!memcmp(back, noise, sizeof back));
    // From the middle of a row to the middle of another.
    memset(back, 0, sizeof back);
    OK(cuMemcpyAtoH(back, a, 20, 40 + W * 4));
    TRUE(!memcmp(back, noise + 5, 40 + W * 4));
    OK(cuMemcpyAtoA(b, 8, a, 4, sizeof noise - 8));
    OK(cuMemcpyAtoH(back, b, 8, sizeof noise - 8));
    TRUE(!memcmp(back, noise + 1, sizeof noise - 8));
    p = device_words(NULL, W * H);
    OK(cuMemcpyAtoD(p, a, 0, sizeof noise));
    words_are(p, (u32 *)noise, W * H);
    fresh();
    OK(cuMemcpyHtoD(p, noise, sizeof noise));
    OK(cuMemcpyDtoA(a, 0, p, sizeof noise));
    OK(cuMemcpyAtoH(back, a, 0, sizeof back));
    TRUE(!memcmp(back, noise, sizeof back));
    IS(1, cuMemcpyHtoA(a, 4, noise, sizeof noise));
    OK(cuMemFree(p));
    OK(cuArrayDestroy(a));
    OK(cuArrayDestroy(b));
    IS(400, cuArrayDestroy(a));
    IS(400, cuMemcpyAtoH(back, a, 0, 4));
    shape.channels = 3;
    IS(1, cuArrayCreate(&a, &shape));
}

CASE(array_copies_in_a_stream, "cuMemcpyHtoAAsync cuMemcpyAtoHAsync")
{
    u64 a = 0, stream = 0;
    array_shape shape = {W, H, FLOAT, 1};
    float *pinned;
    OK(cuArrayCreate(&a, &shape));
    OK(cuStreamCreate(&stream, 1));
    OK(cuMemHostAlloc((void **)&pinned, 2 * sizeof noise, 0));
    fresh();
    memcpy(pinned, noise, sizeof noise);
    memset(pinned + W * H, 0, sizeof noise);
    OK(cuMemcpyHtoAAsync(a, 0, pinned, sizeof noise, stream));
    OK(cuMemcpyAtoHAsync(pinned + W * H, a, 0, sizeof noise, stream));
    OK(cuStreamSynchronize(stream));
    TRUE(!memcmp(pinned + W * H, noise, sizeof noise));
    OK(cuMemFreeHost(pinned));
    OK(cuStreamDestroy(stream));
    OK(cuArrayDestroy(a));
}

CASE(shapes_of_arrays, "cuArray3DCreate cuArray3DGetDescriptor cuArrayGetMemoryRequirements cuMipmappedArrayGetMemoryRequirements cuDeviceGetTexture1DLinearMaxWidth")
{
    u64 a = 0;
    size_t needed[4] = {0}, width = 0;
    box_shape shape = {8, 8, 6, BYTE, 4, CUBE}, found = {0};
    OK(cuArray3DCreate(&a, &shape));
    OK(cuArray3DGetDescriptor(&found, a));
    TRUE(!memcmp(&found, &shape, sizeof shape - 4));
    OK(cuArrayGetMemoryRequirements(needed, a, device));
    TRUE(needed[0] >= 8 * 8 * 6 * 4 && needed[1] >= 256);
    needed[0] = 0;
    OK(cuMipmappedArrayGetMemoryRequirements(needed, a, device));
    TRUE(needed[0] >= 8 * 8 * 6 * 4);
    OK(cuArrayDestroy(a));
    shape.depth = 5;
    IS(1, cuArray3DCreate(&a, &shape));
    shape = (box_shape){8, 0, 3, BYTE, 4, 0};
    IS(1, cuArray3DCreate(&a, &shape));
    OK(cuDeviceGetTexture1DLinearMaxWidth(&width, FLOAT, 1, device));
    TRUE(width >= 65536);
    IS(1, cuDeviceGetTexture1DLinearMaxWidth(&width, 77, 1, device));
}

CASE(texels_by_place, "cuTexObjectCreate cuTexObjectDestroy")
{
    enum { N = 40 };
    four in[N], out[N];
    fresh();
    u64 array = float_array(noise, 0), point = texture_of(array, CLAMP, 0, 0), wrapped = texture_of(array, WRAP, 0, 2), mirrored = texture_of(array, MIRROR, 0, 2), border = texture_of(array, BORDER, 0, 0);
    for (int i = 0; i < N; i++) in[i] = (four){(int)(random_u32() % 80) * 0.25f - 4, (int)(random_u32() % 60) * 0.25f - 4};
    run("pick2d", out, point, in, N);
    for (int i = 0; i < N; i++) {
        int x = in[i].x + 100, y = in[i].y + 100; // floor
        near_to(at(x - 100, y - 100), out[i].x);
        near_to(1, out[i].w);
    }
    run("pick2d", out, border, in, N);
    for (int i = 0; i < N; i++) {
        int x = (int)(in[i].x + 100) - 100, y = (int)(in[i].y + 100) - 100;
        near_to(x < 0 || y < 0 || x >= W || y >= H ? 3 : at(x, y), out[i].x);
    }
    for (int i = 0; i < N; i++) in[i] = (four){((int)(random_u32() % 60) - 24 + 0.5f) / W, ((int)(random_u32() % 35) - 14 + 0.5f) / H};
    run("pick2d", out, wrapped, in, N);
    for (int i = 0; i < N; i++) near_to(at((int)(in[i].x * W + 2 * W) % W, (int)(in[i].y * H + 2 * H) % H), out[i].x);
    run("pick2d", out, mirrored, in, N);
    for (int i = 0; i < N; i++) {
        int x = (int)(in[i].x * W + 2 * W) % (2 * W), y = (int)(in[i].y * H + 2 * H) % (2 * H);
        near_to(at(x < W ? x : 2 * W - 1 - x, y < H ? y : 2 * H - 1 - y), out[i].x);
    }
    u32 sizes[4];
    run("asked", (four *)sizes, point, in, 1);
    IS(W, sizes[0]);
    IS(H, sizes[1]);
    OK(cuTexObjectDestroy(point));
    IS(400, cuTexObjectDestroy(point));
    OK(cuTexObjectDestroy(wrapped));
    OK(cuTexObjectDestroy(mirrored));
    OK(cuTexObjectDestroy(border));
    OK(cuArrayDestroy(array));
}

CASE(filtered_texels, "cuTexObjectCreate")
{
    enum { N = 40 };
    four in[N], out[N];
    fresh();
    u64 array = float_array(noise, 0), linear = texture_of(array, CLAMP, 1, 0);
    for (int i = 0; i < N; i++) in[i] = (four){(int)(random_u32() % 200) / 16.0f, (int)(random_u32() % 120) / 16.0f};
    run("pick2d", out, linear, in, N);
    for (int i = 0; i < N; i++) {
        float x = in[i].x - 0.5f + 4, y = in[i].y - 0.5f + 4, a = x - (int)x, b = y - (int)y;
        int u = (int)x - 4, v = (int)y - 4;
        near_to((1 - a) * (1 - b) * at(u, v) + a * (1 - b) * at(u + 1, v) + (1 - a) * b * at(u, v + 1) + a * b * at(u + 1, v + 1), out[i].x);
    }
    in[0] = (four){3, 2};
    run("gather", out, linear, in, 1);
    near_to(at(2, 2), out[0].x);
    near_to(at(3, 2), out[0].y);
    near_to(at(3, 1), out[0].z);
    near_to(at(2, 1), out[0].w);
    OK(cuTexObjectDestroy(linear));
    OK(cuArrayDestroy(array));
}

CASE(bytes_become_numbers, "cuTexObjectCreate cuTexObjectGetResourceDesc cuTexObjectGetTextureDesc cuTexObjectGetResourceViewDesc")
{
    unsigned char bytes[W * H * 4];
    four in[4] = {{0, 0}, {3, 2}, {W - 1, H - 1}, {5, 6}}, out[4];
    u32 words[16];
    u64 array = 0, texture = 0;
    box_shape shape = {W, H, 0, BYTE, 4, 0};
    fill_random(bytes, sizeof bytes);
    OK(cuArray3DCreate(&array, &shape));
    OK(cuMemcpyHtoA(array, 0, bytes, sizeof bytes));
    texture = texture_of(array, CLAMP, 0, 0);
    run("pick2d", out, texture, in, 4);
    for (int i = 0; i < 4; i++) {
        unsigned char *p = bytes + 4 * ((int)in[i].y * W + (int)in[i].x);
        near_to(p[0] / 255.0f, out[i].x);
        near_to(p[3] / 255.0f, out[i].w);
    }
    OK(cuTexObjectDestroy(texture));
    texture = texture_of(array, CLAMP, 0, 1);
    run("words", (four *)words, texture, in, 4);
    for (int i = 0; i < 16; i++) IS(bytes[4 * ((int)in[i / 4].y * W + (int)in[i / 4].x) + i % 4], words[i]);
    OK(cuTexObjectDestroy(texture));
    // The same bytes seen as one word.
    resource_desc resource = {.handle = array}, resource_found = {0};
    texture_desc how = {.address = {CLAMP, CLAMP, CLAMP}, .flags = 1}, how_found = {{0}};
    view_desc view = {.format = 0xd, .width = W, .height = H}, view_found = {0};
    OK(cuTexObjectCreate(&texture, &resource, &how, &view));
    run("words", (four *)words, texture, in, 4);
    for (int i = 0; i < 4; i++) TRUE(!memcmp(bytes + 4 * ((int)in[i].y * W + (int)in[i].x), words + 4 * i, 4));
    OK(cuTexObjectGetResourceDesc(&resource_found, texture));
    OK(cuTexObjectGetTextureDesc(&how_found, texture));
    OK(cuTexObjectGetResourceViewDesc(&view_found, texture));
    IS(array, resource_found.handle);
    TRUE(how_found.address[1] == CLAMP && how_found.flags == 1);
    TRUE(view_found.format == 0xd && view_found.height == H);
    OK(cuTexObjectDestroy(texture));
    texture = texture_of(array, CLAMP, 0, 1);
    IS(1, cuTexObjectGetResourceViewDesc(&view_found, texture));
    OK(cuTexObjectDestroy(texture));
    how.filter = 1;
    IS(1, cuTexObjectCreate(&texture, &resource, &how, NULL));
    OK(cuArrayDestroy(array));
}

CASE(linear_memory_as_texture, "cuTexObjectCreate")
{
    enum { N = 70 };
    four in[4] = {{0}, {N - 1}, {N}, {-1}}, out[4];
    u32 words[N];
    fill_random(words, sizeof words);
    for (int i = 0; i < N; i++) ((float *)words)[i] = words[i] % 1000;
    u64 p = device_words(words, N), texture = 0;
    resource_desc resource = {.type = 2, .handle = p, .format = FLOAT, .channels = 1, .size = N * 4};
    texture_desc how = {{0}};
    OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
    run("line", out, texture, in, 4);
    near_to(((float *)words)[0], out[0].x);
    near_to(((float *)words)[N - 1], out[1].x);
    near_to(0, out[2].x);
    near_to(0, out[3].x);
    resource.handle += 4;
    IS(1, cuTexObjectCreate(&texture, &resource, &how, NULL));
    OK(cuMemFree(p));
}

CASE(layers_faces_and_depth, "cuArray3DCreate cuMemcpy3D")
{
    enum { L = 3 };
    float data[6 * 8 * 8];
    four in[6] = {{1.5f, 2.5f, 0}, {3.5f, 0.5f, 1}, {7.5f, 7.5f, 2}, {0.5f, 0.5f, 9}}, out[6];
    for (int i = 0; i < 6 * 8 * 8; i++) data[i] = i;
    box_shape shapes[3] = {{8, 8, L, FLOAT, 1, LAYERED}, {8, 8, 6, FLOAT, 1, CUBE}, {8, 8, 4, FLOAT, 1, 0}};
    for (int k = 0; k < 3; k++) {
        u64 array = 0, texture;
        CUDA_MEMCPY3D copy = {.srcMemoryType = 1, .srcHost = data, .srcPitch = 32, .srcHeight = 8, .dstMemoryType = 3, .WidthInBytes = 32, .Height = 8, .Depth = shapes[k].depth};
        OK(cuArray3DCreate(&array, &shapes[k]));
        copy.dstArray = array;
        OK(cuMemcpy3D(&copy));
        copy.Depth++;
        IS(1, cuMemcpy3D(&copy));
        texture = texture_of(array, CLAMP, k == 2, 0);
        if (k == 0) {
            run("layer", out, texture, in, 4);
            near_to(2 * 8 + 1, out[0].x);
            near_to(64 + 3, out[1].x);
            near_to(128 + 63, out[2].x);
            near_to(128, out[3].x);
        } else if (k == 1) {
            four axes[6] = {{1, 0.01f, 0.01f}, {-1, 0.01f, 0.01f}, {0.01f, 1, 0.01f}, {0.01f, -1, 0.01f}, {0.01f, 0.01f, 1}, {0.01f, 0.01f, -1}};
            run("cube", out, texture, axes, 6);
            for (int i = 0; i < 6; i++) IS(i, (int)out[i].x / 64);
        } else {
            four half[2] = {{2.5f, 3.5f, 2}, {2.5f, 3.5f, 0.5f}};
            run("pick3d", out, texture, half, 2);
            near_to((64 + 26 + 128 + 26) / 2.0f, out[0].x);
            near_to(26, out[1].x);
        }
        OK(cuTexObjectDestroy(texture));
        OK(cuArrayDestroy(array));
    }
}

CASE(levels_of_detail, "cuMipmappedArrayCreate cuMipmappedArrayGetLevel cuMipmappedArrayDestroy")
{
    u64 array = 0, level = 0, again = 0, texture = 0;
    box_shape shape = {8, 8, 0, FLOAT, 1, 0}, found;
    float data[64];
    four in[4] = {{0.5f, 0.5f, 0}, {0.5f, 0.5f, 1}, {0.5f, 0.5f, 2}, {0.5f, 0.5f, 1.5f}}, out[4];
    OK(cuMipmappedArrayCreate(&array, &shape, 3));
    IS(1, cuMipmappedArrayGetLevel(&level, array, 3));
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < 64; i++) data[i] = 10 * (n + 1);
        OK(cuMipmappedArrayGetLevel(&level, array, n));
        OK(cuMipmappedArrayGetLevel(&again, array, n));
        IS(level, again);
        OK(cuArray3DGetDescriptor(&found, level));
        IS(8 >> n, found.width);
        OK(cuMemcpyHtoA(level, 0, data, 256 >> (2 * n)));
        IS(400, cuArrayDestroy(level));
    }
    resource_desc resource = {.type = 1, .handle = array};
    texture_desc how = {.address = {CLAMP, CLAMP, CLAMP}, .filter = 1, .flags = 2, .mipmap_filter = 1, .max_level = 2};
    OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
    run("level", out, texture, in, 4);
    near_to(10, out[0].x);
    near_to(20, out[1].x);
    near_to(30, out[2].x);
    near_to(25, out[3].x);
    OK(cuTexObjectDestroy(texture));
    OK(cuMipmappedArrayDestroy(array));
    IS(400, cuMipmappedArrayGetLevel(&level, array, 0));
}

CASE(surface_is_read_and_written, "cuSurfObjectCreate cuSurfObjectDestroy cuSurfObjectGetResourceDesc")
{
    u32 words[W * H], back[W * H];
    u64 array = 0, surface = 0, f = 0;
    box_shape shape = {W, H, 0, WORD, 1, SURFACE};
    resource_desc resource = {0}, found = {0};
    fill_random(words, sizeof words);
    OK(cuArray3DCreate(&array, &shape));
    OK(cuMemcpyHtoA(array, 0, words, sizeof words));
    resource.handle = array;
    OK(cuSurfObjectCreate(&surface, &resource));
    OK(cuSurfObjectGetResourceDesc(&found, surface));
    IS(array, found.handle);
    OK(cuModuleGetFunction(&f, kernels(), "paint"));
    void *parameters[] = {&surface};
    OK(cuLaunchKernel(f, 1, 1, 1, W, H, 1, 0, 0, parameters, NULL));
    OK(cuMemcpyAtoH(back, array, 0, sizeof back));
    for (int y = 0; y < H; y++) for (int x = 0; x < W; x++) IS(words[y * W + x] + x * 16 + y, back[y * W + x]);
    OK(cuSurfObjectDestroy(surface));
    IS(400, cuSurfObjectDestroy(surface));
    OK(cuArrayDestroy(array));
}

static u64 kept_array, kept_texture, kept_surface, kept_levels, kept_level;
static float kept_noise[W * H];

KEPT(textures_and_their_contents, "cuTexObjectCreate cuSurfObjectCreate cuArray3DCreate")
{
    fresh();
    memcpy(kept_noise, noise, sizeof noise);
    kept_array = float_array(noise, SURFACE);
    kept_texture = texture_of(kept_array, CLAMP, 0, 0);
    resource_desc resource = {.handle = kept_array};
    OK(cuSurfObjectCreate(&kept_surface, &resource));
    box_shape shape = {8, 8, 0, FLOAT, 1, 0};
    OK(cuMipmappedArrayCreate(&kept_levels, &shape, 2));
    OK(cuMipmappedArrayGetLevel(&kept_level, kept_levels, 1));
    OK(cuMemcpyHtoA(kept_level, 0, noise, 64));
}
FOUND(textures_and_their_contents)
{
    four in[1] = {{5, 3}}, out[1];
    float back[16];
    box_shape found;
    u64 level = 0, f = 0;
    run("pick2d", out, kept_texture, in, 1);
    near_to(kept_noise[3 * W + 5], out[0].x);
    OK(cuArray3DGetDescriptor(&found, kept_array));
    IS(H, found.height);
    OK(cuMipmappedArrayGetLevel(&level, kept_levels, 1));
    IS(kept_level, level);
    OK(cuMemcpyAtoH(back, level, 0, 64));
    TRUE(!memcmp(back, kept_noise, 64));
    void *parameters[] = {&kept_surface};
    OK(cuModuleGetFunction(&f, kernels(), "paint"));
    OK(cuLaunchKernel(f, 1, 1, 1, W, H, 1, 0, 0, parameters, NULL));
    OK(cuMemcpyAtoH(back, kept_array, 4, 4));
    u32 word = ((u32 *)kept_noise)[1] + 16;
    TRUE(!memcmp(back, &word, 4));
    OK(cuTexObjectDestroy(kept_texture));
    OK(cuSurfObjectDestroy(kept_surface));
    OK(cuMipmappedArrayDestroy(kept_levels));
    OK(cuArrayDestroy(kept_array));
}
