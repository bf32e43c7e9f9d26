// Texture and surface references: names of a module that calls bind, and that each kernel sees as they were when it was launched.
#include "surface.h"

enum { WRAP, CLAMP, MIRROR, BORDER, BYTE = 1, WORD = 3, FLOAT = 0x20, ARRAY_FORMAT = 1 };
#define W 12
#define H 7

// pick(out, in): out[i] = tex2D(picture, x, y); words: as unsigned; fetch: by index, of line (in the form that PTX had first); level: with a level of detail; paint: word at (x, y) of paper becomes
// x * 16 + y + itself; pick_slowly: as pick, when *flag is not 0.
static const char text[] =
    ".version 6.4\n.target sm_52\n.address_size 64\n.visible .global .texref picture;\n.tex .u64 line;\n.global .surfref paper;\n.global .align 4 .u32 number = 5;\n"
#define HEAD(name) ".visible .entry " name "(.param .u64 out, .param .u64 in)\n{\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n.reg .b64 %d<9>;\n" \
    "ld.param.u64 %d1, [out];\nld.param.u64 %d3, [in];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %d4, %r1, 16;\nadd.u64 %d3, %d3, %d4;\nadd.u64 %d1, %d1, %d4;\n" \
    "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%d3];\n"
#define TAIL "st.global.v4.f32 [%d1], {%f5, %f6, %f7, %f8};\nret;\n}\n"
    HEAD("pick") "tex.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [picture, {%f1, %f2}];\n" TAIL
    HEAD("words") "tex.2d.v4.u32.f32 {%r5, %r6, %r7, %r8}, [picture, {%f1, %f2}];\nst.global.v4.u32 [%d1], {%r5, %r6, %r7, %r8};\nret;\n}\n"
    HEAD("fetch") "cvt.rzi.s32.f32 %r2, %f1;\ntex.1d.v4.f32.s32 {%f5, %f6, %f7, %f8}, [line, {%r2}];\n" TAIL
    HEAD("level") "tex.level.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [picture, {%f1, %f2}], %f3;\n" TAIL
    ".visible .entry pick_slowly(.param .u64 out, .param .u64 in, .param .u64 flag)\n{\n.reg .pred %p;\n.reg .b32 %r<9>;\n.reg .f32 %f<9>;\n.reg .b64 %d<9>;\n"
    "ld.param.u64 %d1, [out];\nld.param.u64 %d3, [in];\nld.param.u64 %d2, [flag];\nWAIT:\nld.volatile.global.u32 %r1, [%d2];\nsetp.eq.u32 %p, %r1, 0;\n@%p bra WAIT;\n"
    "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%d3];\ntex.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [picture, {%f1, %f2}];\n" TAIL
    ".visible .entry paint()\n{\n.reg .b32 %r<9>;\n"
    "mov.u32 %r1, %tid.x;\nmov.u32 %r2, %tid.y;\nshl.b32 %r3, %r1, 2;\nsuld.b.2d.b32.trap {%r4}, [paper, {%r3, %r2}];\n"
    "shl.b32 %r5, %r1, 4;\nadd.u32 %r5, %r5, %r2;\nadd.u32 %r5, %r5, %r4;\nsust.b.2d.b32.trap [paper, {%r3, %r2}], {%r5};\nret;\n}\n";

typedef struct { float x, y, z, w; } four;

static u64 load(void)
{
    u64 loaded = 0;
    OK(cuModuleLoadData(&loaded, text));
    return loaded;
}

static u64 texture(u64 in, const char *name)
{
    u64 found = 0;
    OK(cuModuleGetTexRef(&found, in, name));
    TRUE(found != 0);
    return found;
}

static void run(u64 in, const char *name, void *out, const four *at, int n)
{
    u64 f = 0, from = device_words((const u32 *)at, n * 4), to = device_words(NULL, n * 4);
    void *parameters[] = {&to, &from};
    OK(cuModuleGetFunction(&f, in, name));
    OK(cuLaunchKernel(f, 1, 1, 1, n, 1, 1, 0, 0, parameters, NULL));
    OK(cuMemcpyDtoH(out, to, n * sizeof(four)));
    OK(cuMemFree(from));
    OK(cuMemFree(to));
}

static void near_to(float expected, float found)
{
    if (!(found - expected < 1e-4f && expected - found < 1e-4f)) fail(__FILE__, __LINE__, "texel * 1000", found * 1000, expected * 1000);
}

static void fresh(float *noise, int n) { for (int i = 0; i < n; i++) noise[i] = random_u32() % 1000; }

static u64 float_array(const float *from)
{
    u64 array = 0;
    array_shape shape = {W, H, FLOAT, 1};
    OK(cuArrayCreate(&array, &shape));
    OK(cuMemcpyHtoA(array, 0, from, W * H * 4));
    return array;
}

CASE(references_by_name, "cuModuleGetTexRef cuModuleGetSurfRef cuTexRefCreate cuTexRefDestroy")
{
    u64 in = load(), a = texture(in, "picture"), b = texture(in, "line"), c = 0, d = 0, value = 0;
    size_t bytes = 0;
    TRUE(a != b);
    IS(a, texture(in, "picture"));
    OK(cuModuleGetSurfRef(&c, in, "paper"));
    TRUE(c != 0);
    IS(500, cuModuleGetTexRef(&d, in, "paper"));
    IS(500, cuModuleGetSurfRef(&d, in, "picture"));
    IS(500, cuModuleGetTexRef(&d, in, "number"));
    IS(500, cuModuleGetTexRef(&d, in, "nobody"));
    IS(500, cuModuleGetGlobal(&value, &bytes, in, "picture"));
    IS(400, cuTexRefSetFilterMode(c, 1));
    IS(400, cuSurfRefSetArray(a, 0, 0));
    OK(cuTexRefCreate(&d));
    TRUE(d != 0 && d != a);
    OK(cuTexRefSetFilterMode(d, 1));
    OK(cuTexRefDestroy(d));
    IS(400, cuTexRefDestroy(d));
    IS(1, cuTexRefDestroy(a));
    OK(cuModuleUnload(in));
    IS(400, cuTexRefSetFilterMode(a, 1));
}

CASE(what_was_set_is_told, "cuTexRefSetAddress cuTexRefGetAddress cuTexRefSetArray cuTexRefGetArray cuTexRefSetMipmappedArray cuTexRefGetMipmappedArray cuTexRefSetFormat cuTexRefGetFormat "
    "cuTexRefSetAddressMode cuTexRefGetAddressMode cuTexRefSetFilterMode cuTexRefGetFilterMode cuTexRefSetMipmapFilterMode cuTexRefGetMipmapFilterMode cuTexRefSetMipmapLevelBias cuTexRefGetMipmapLevelBias "
    "cuTexRefSetMipmapLevelClamp cuTexRefGetMipmapLevelClamp cuTexRefSetMaxAnisotropy cuTexRefGetMaxAnisotropy cuTexRefSetBorderColor cuTexRefGetBorderColor cuTexRefSetFlags cuTexRefGetFlags")
{
    u64 in = load(), t = texture(in, "picture"), p = device_words(NULL, 4096), levels = 0, found = 0, array;
    u32 word = 77, format = 0;
    int number = 0, channels = 0;
    float least = 0, most = 0, color[4] = {1, 2, 3, 4}, told[4] = {0};
    size_t offset = 77;
    static float noise[W * H];
    box_shape shape = {8, 8, 0, FLOAT, 1, 0};
    array = float_array(noise);
    OK(cuMipmappedArrayCreate(&levels, &shape, 2));
    IS(1, cuTexRefGetAddress(&found, t));
    IS(1, cuTexRefGetArray(&found, t));
    OK(cuTexRefSetFormat(t, WORD, 2));
    OK(cuTexRefGetFormat(&format, &channels, t));
    TRUE(format == WORD && channels == 2);
    IS(1, cuTexRefSetFormat(t, WORD, 3));
    IS(1, cuTexRefSetFormat(t, 77, 1));
    OK(cuTexRefSetAddress(&offset, t, p + 1024, 64));
    IS(0, offset);
    OK(cuTexRefGetAddress(&found, t));
    IS(p + 1024, found);
    IS(1, cuTexRefGetArray(&found, t));
    OK(cuTexRefSetAddress(&offset, t, p + 1024 + 8, 64));
    IS(8, offset);
    IS(1, cuTexRefSetAddress(NULL, t, p + 8, 64));
    IS(1, cuTexRefSetArray(t, array, 2));
    OK(cuTexRefSetArray(t, array, 0));
    OK(cuTexRefGetFormat(&format, &channels, t));
    TRUE(format == WORD && channels == 2);
    IS(400, cuTexRefSetArray(t, 12345, ARRAY_FORMAT));
    OK(cuTexRefSetArray(t, array, ARRAY_FORMAT));
    OK(cuTexRefGetArray(&found, t));
    IS(array, found);
    OK(cuTexRefGetFormat(&format, &channels, t));
    TRUE(format == FLOAT && channels == 1);
    OK(cuTexRefSetMipmappedArray(t, levels, ARRAY_FORMAT));
    OK(cuTexRefGetMipmappedArray(&found, t));
    IS(levels, found);
    IS(1, cuTexRefGetAddress(&found, t));
    OK(cuTexRefSetAddressMode(t, 1, MIRROR));
    OK(cuTexRefGetAddressMode(&word, t, 1));
    IS(MIRROR, word);
    OK(cuTexRefGetAddressMode(&word, t, 0));
    IS(WRAP, word);
    IS(1, cuTexRefSetAddressMode(t, 3, CLAMP));
    IS(1, cuTexRefSetAddressMode(t, 0, 4));
    OK(cuTexRefSetFilterMode(t, 1));
    OK(cuTexRefGetFilterMode(&word, t));
    IS(1, word);
    IS(1, cuTexRefSetFilterMode(t, 2));
    OK(cuTexRefGetMipmapFilterMode(&word, t));
    IS(0, word);
    OK(cuTexRefSetMipmapFilterMode(t, 1));
    OK(cuTexRefGetMipmapFilterMode(&word, t));
    IS(1, word);
    OK(cuTexRefSetMipmapLevelBias(t, 0.5f));
    OK(cuTexRefGetMipmapLevelBias(&least, t));
    near_to(0.5f, least);
    OK(cuTexRefSetMipmapLevelClamp(t, 1.5f, 2.5f));
    OK(cuTexRefGetMipmapLevelClamp(&least, &most, t));
    near_to(1.5f, least);
    near_to(2.5f, most);
    OK(cuTexRefSetMaxAnisotropy(t, 4));
    OK(cuTexRefGetMaxAnisotropy(&number, t));
    IS(4, number);
    OK(cuTexRefSetBorderColor(t, color));
    OK(cuTexRefGetBorderColor(told, t));
    TRUE(!memcmp(color, told, sizeof color));
    OK(cuTexRefSetFlags(t, 2));
    OK(cuTexRefGetFlags(&word, t));
    IS(2, word);
    IS(1, cuTexRefSetFlags(t, 4));
    OK(cuModuleUnload(in));
    OK(cuMipmappedArrayDestroy(levels));
    OK(cuArrayDestroy(array));
    OK(cuMemFree(p));
}

CASE(kernels_read_what_is_bound, "cuTexRefSetArray cuTexRefSetAddress cuTexRefSetAddress2D cuTexRefSetMipmappedArray cuTexRefSetFormat cuTexRefSetAddressMode cuTexRefSetFilterMode cuTexRefSetFlags cuTexRefSetBorderColor "
    "cuTexRefSetMipmapFilterMode cuTexRefSetMipmapLevelBias cuTexRefSetMipmapLevelClamp")
{
    static float noise[W * H], border[4] = {9, 8, 7, 6};
    float rows[H][64];
    four at[4] = {{3.5f, 2.5f}, {W - 0.5f, 0.5f}, {-3, 2}, {4, 3}}, out[4];
    u64 in = load(), t = texture(in, "picture"), line = texture(in, "line"), array, p, levels = 0, level;
    fresh(noise, W * H);
    array = float_array(noise);
    OK(cuTexRefSetArray(t, array, ARRAY_FORMAT));
    for (int n = 0; n < 2; n++) OK(cuTexRefSetAddressMode(t, n, CLAMP));
    run(in, "pick", out, at, 4);
    near_to(noise[2 * W + 3], out[0].x);
    near_to(noise[W - 1], out[1].x);
    near_to(noise[2 * W], out[2].x);
    near_to(1, out[0].w);
    for (int n = 0; n < 2; n++) OK(cuTexRefSetAddressMode(t, n, BORDER));
    OK(cuTexRefSetBorderColor(t, border));
    OK(cuTexRefSetFilterMode(t, 1));
    run(in, "pick", out, at, 4);
    near_to(9, out[2].x);
    near_to((noise[2 * W + 3] + noise[2 * W + 4] + noise[3 * W + 3] + noise[3 * W + 4]) / 4, out[3].x);
    // Rows in memory, read by places from 0 to 1, again and again.
    fresh(&rows[0][0], H * 64);
    p = device_words((u32 *)rows, H * 64);
    array_shape shape = {W, H, FLOAT, 1};
    IS(1, cuTexRefSetAddress2D(t, &shape, p, 4));
    OK(cuTexRefSetAddress2D_first(t, &shape, p, sizeof rows[0]));
    OK(cuTexRefSetAddress2D(t, &shape, p, sizeof rows[0]));
    OK(cuTexRefSetFlags(t, 2));
    OK(cuTexRefSetFilterMode(t, 0));
    for (int n = 0; n < 2; n++) OK(cuTexRefSetAddressMode(t, n, WRAP));
    at[0] = (four){(2.5f + W) / W, (4.5f - H) / H};
    run(in, "pick", out, at, 1);
    near_to(rows[4][2], out[0].x);
    // Bytes as numbers and as bytes.
    shape = (array_shape){W, H, BYTE, 4};
    OK(cuTexRefSetAddress2D(t, &shape, p, sizeof rows[0]));
    run(in, "pick", out, at, 1);
    near_to(((unsigned char *)rows[4])[2 * 4 + 1] / 255.0f, out[0].y);
    u32 words[4];
    run(in, "words", words, at, 1); // numbers in integer registers are their bits: nvcc reads them so
    float number;
    memcpy(&number, &words[1], 4);
    near_to(out[0].y, number);
    OK(cuTexRefSetFlags(t, 3));
    run(in, "words", words, at, 1);
    IS(((unsigned char *)rows[4])[2 * 4 + 1], words[1]);
    OK(cuTexRefSetFilterMode(t, 1)); // filtered integers: whoever launches is told
    u64 f = 0, none = 0;
    void *parameters[] = {&none, &none};
    OK(cuModuleGetFunction(&f, in, "pick"));
    IS(1, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, 0, parameters, NULL));
    // Levels.
    box_shape whole = {8, 8, 0, FLOAT, 1, 0};
    float data[64];
    OK(cuMipmappedArrayCreate(&levels, &whole, 3));
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < 64; i++) data[i] = 10 * (n + 1);
        OK(cuMipmappedArrayGetLevel(&level, levels, n));
        OK(cuMemcpyHtoA(level, 0, data, 256 >> (2 * n)));
    }
    OK(cuTexRefSetMipmappedArray(t, levels, ARRAY_FORMAT));
    OK(cuTexRefSetFlags(t, 2));
    OK(cuTexRefSetMipmapFilterMode(t, 1));
    OK(cuTexRefSetMipmapLevelClamp(t, 0, 1.75f));
    OK(cuTexRefSetMipmapLevelBias(t, 0.5f));
    four deep[3] = {{0.5f, 0.5f, 0}, {0.5f, 0.5f, 1}, {0.5f, 0.5f, 2}};
    run(in, "level", out, deep, 3);
    near_to(15, out[0].x);
    near_to(25, out[1].x);
    near_to(27.5f, out[2].x);
    // Linear memory, whose format is set apart.
    OK(cuTexRefSetFormat(line, FLOAT, 2));
    OK(cuTexRefSetAddress(NULL, line, p, 64));
    four by[3] = {{0}, {7}, {8}};
    run(in, "fetch", out, by, 3);
    near_to(rows[0][1], out[0].y);
    near_to(rows[0][14], out[1].x);
    near_to(0, out[2].x);
    OK(cuModuleUnload(in));
    OK(cuMipmappedArrayDestroy(levels));
    OK(cuArrayDestroy(array));
    OK(cuMemFree(p));
}

CASE(surface_reference_is_written, "cuModuleGetSurfRef cuSurfRefSetArray cuSurfRefGetArray")
{
    u32 words[W * H], back[W * H];
    u64 array = 0, found = 0, s = 0, f = 0, in = load();
    box_shape shape = {W, H, 0, WORD, 1, 2};
    fill_random(words, sizeof words);
    OK(cuArray3DCreate(&array, &shape));
    OK(cuMemcpyHtoA(array, 0, words, sizeof words));
    OK(cuModuleGetSurfRef(&s, in, "paper"));
    IS(1, cuSurfRefGetArray(&found, s));
    IS(1, cuSurfRefSetArray(s, array, 1));
    OK(cuSurfRefSetArray(s, array, 0));
    OK(cuSurfRefGetArray(&found, s));
    IS(array, found);
    OK(cuModuleGetFunction(&f, in, "paint"));
    OK(cuLaunchKernel(f, 1, 1, 1, W, H, 1, 0, 0, NULL, NULL));
    OK(cuMemcpyAtoH(back, array, 0, sizeof back));
    for (int y = 0; y < H; y++) for (int x = 0; x < W; x++) IS(words[y * W + x] + x * 16 + y, back[y * W + x]);
    OK(cuModuleUnload(in));
    OK(cuArrayDestroy(array));
}

// A binding that comes after a launch is not that launch's.
CASE(launches_see_what_was_bound_before_them, "cuTexRefSetArray")
{
    static float first[W * H], second[W * H];
    four at = {3, 2}, out[2];
    u64 in = load(), t = texture(in, "picture"), a, b, f = 0, from = device_words((u32 *)&at, 4), to = device_words(NULL, 8), after = to + sizeof(four), stream = 0, flag, *flag_there = NULL;
    fresh(first, W * H);
    fresh(second, W * H);
    a = float_array(first);
    b = float_array(second);
    OK(cuMemHostAlloc((void **)&flag_there, 64, 2));
    OK(cuMemHostGetDevicePointer(&flag, flag_there, 0));
    *(volatile u32 *)flag_there = 0;
    OK(cuStreamCreate(&stream, 1));
    OK(cuTexRefSetArray(t, a, ARRAY_FORMAT));
    void *slow[] = {&to, &from, &flag}, *next[] = {&after, &from};
    OK(cuModuleGetFunction(&f, in, "pick_slowly"));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, slow, NULL));
    OK(cuTexRefSetArray(t, b, ARRAY_FORMAT));
    *(volatile u32 *)flag_there = 1;
    OK(cuModuleGetFunction(&f, in, "pick"));
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, next, NULL));
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyDtoH(out, to, sizeof out));
    near_to(first[2 * W + 3], out[0].x);
    near_to(second[2 * W + 3], out[1].x);
    OK(cuStreamDestroy(stream));
    OK(cuMemFreeHost(flag_there));
    OK(cuModuleUnload(in));
    OK(cuArrayDestroy(a));
    OK(cuArrayDestroy(b));
    OK(cuMemFree(from));
    OK(cuMemFree(to));
}

CASE(references_of_old_launches, "cuParamSetTexRef")
{
    u64 in = load(), t = texture(in, "picture"), f = 0, other = 0;
    OK(cuModuleGetFunction(&f, in, "pick"));
    OK(cuParamSetTexRef(f, -1, t));
    IS(1, cuParamSetTexRef(f, 0, t));
    OK(cuTexRefCreate(&other));
    IS(1, cuParamSetTexRef(f, -1, other));
    IS(400, cuParamSetTexRef(f, -1, 12345));
    OK(cuTexRefDestroy(other));
    OK(cuModuleUnload(in));
}

static u64 kept_module, kept_picture, kept_line, kept_paper, kept_array, kept_sheet, kept_memory;
static float kept_noise[W * H];
static u32 kept_words[W * H], kept_line_words[W];

// Bound and seen by a launch (picture, paper), and bound when the restart comes and seen by none yet (line, and how the picture is read).
KEPT(references_and_their_bindings, "cuModuleGetTexRef cuModuleGetSurfRef cuTexRefSetArray cuTexRefSetAddress cuSurfRefSetArray cuTexRefSetAddressMode cuTexRefSetBorderColor")
{
    static const float border[4] = {5};
    four at = {3, 2}, out;
    u64 f = 0;
    box_shape shape = {W, H, 0, WORD, 1, 2};
    kept_module = load();
    kept_picture = texture(kept_module, "picture");
    kept_line = texture(kept_module, "line");
    OK(cuModuleGetSurfRef(&kept_paper, kept_module, "paper"));
    fresh(kept_noise, W * H);
    fill_random(kept_words, sizeof kept_words);
    for (int i = 0; i < W; i++) ((float *)kept_line_words)[i] = random_u32() % 1000;
    kept_array = float_array(kept_noise);
    OK(cuArray3DCreate(&kept_sheet, &shape));
    OK(cuMemcpyHtoA(kept_sheet, 0, kept_words, sizeof kept_words));
    kept_memory = device_words(kept_line_words, W);
    OK(cuTexRefSetArray(kept_picture, kept_array, ARRAY_FORMAT));
    OK(cuSurfRefSetArray(kept_paper, kept_sheet, 0));
    run(kept_module, "pick", &out, &at, 1);
    near_to(kept_noise[2 * W + 3], out.x);
    OK(cuModuleGetFunction(&f, kept_module, "paint"));
    OK(cuLaunchKernel(f, 1, 1, 1, W, H, 1, 0, 0, NULL, NULL));
    for (int n = 0; n < 2; n++) OK(cuTexRefSetAddressMode(kept_picture, n, BORDER));
    OK(cuTexRefSetBorderColor(kept_picture, border));
    OK(cuTexRefSetAddress(NULL, kept_line, kept_memory, sizeof kept_line_words));
}
FOUND(references_and_their_bindings)
{
    four at[2] = {{4, 5}, {-2, 1}}, out[2];
    u32 back[W * H];
    u64 f = 0, found = 0;
    // Before anything else is launched: what a kernel had seen is on the device.
    OK(cuModuleGetFunction(&f, kept_module, "paint"));
    OK(cuLaunchKernel(f, 1, 1, 1, W, H, 1, 0, 0, NULL, NULL));
    OK(cuMemcpyAtoH(back, kept_sheet, 0, sizeof back));
    for (int y = 0; y < H; y++) for (int x = 0; x < W; x++) IS(kept_words[y * W + x] + 2 * (x * 16 + y), back[y * W + x]);
    IS(kept_picture, texture(kept_module, "picture"));
    OK(cuModuleGetSurfRef(&found, kept_module, "paper"));
    IS(kept_paper, found);
    OK(cuTexRefGetArray(&found, kept_picture));
    IS(kept_array, found);
    run(kept_module, "pick", out, at, 2);
    near_to(kept_noise[5 * W + 4], out[0].x);
    near_to(5, out[1].x);
    run(kept_module, "fetch", out, at, 1);
    near_to(((float *)kept_line_words)[4], out[0].x);
    OK(cuModuleUnload(kept_module));
    OK(cuArrayDestroy(kept_array));
    OK(cuArrayDestroy(kept_sheet));
    OK(cuMemFree(kept_memory));
}
