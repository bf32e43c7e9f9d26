// Kernels with constants of this run, and what cases do with them again and again.
#include "surface.h"

u32 factor, term, ramp[16];

static const char *pattern =
    ".version 6.4\n.target sm_52\n.address_size 64\n"
    ".visible .global .align 4 .u32 table[16];\n"
    ".visible .const .align 4 .u32 ramp[16] = {%s};\n"
    ".extern .shared .align 4 .b8 dynamic[];\n"
    // affine(u32 *out, u32 *in, u32 n)
    ".visible .entry affine(.param .u64 out, .param .u64 in, .param .u32 n)\n{\n.reg .pred %%p;\n.reg .b32 %%r<8>;\n.reg .b64 %%d<6>;\n"
    "ld.param.u64 %%d1, [out];\nld.param.u64 %%d2, [in];\nld.param.u32 %%r1, [n];\n"
    "mov.u32 %%r2, %%ctaid.x;\nmov.u32 %%r3, %%ntid.x;\nmov.u32 %%r4, %%tid.x;\nmad.lo.u32 %%r5, %%r2, %%r3, %%r4;\nsetp.ge.u32 %%p, %%r5, %%r1;\n@%%p bra DONE;\n"
    "mul.wide.u32 %%d3, %%r5, 4;\nadd.u64 %%d4, %%d2, %%d3;\nld.global.u32 %%r6, [%%d4];\nmul.lo.u32 %%r6, %%r6, %u;\nadd.u32 %%r6, %%r6, %u;\n"
    "add.u64 %%d5, %%d1, %%d3;\nst.global.u32 [%%d5], %%r6;\nDONE:\nret;\n}\n"
    // gate(volatile u32 *flag, u32 *out, u32 value): waits for the flag
    ".visible .entry gate(.param .u64 flag, .param .u64 out, .param .u32 value)\n{\n.reg .pred %%p;\n.reg .b32 %%r<4>;\n.reg .b64 %%d<4>;\n"
    "ld.param.u64 %%d1, [flag];\nld.param.u64 %%d2, [out];\nld.param.u32 %%r1, [value];\n"
    "WAIT:\nld.volatile.global.u32 %%r2, [%%d1];\nsetp.eq.u32 %%p, %%r2, 0;\n@%%p bra WAIT;\nst.global.u32 [%%d2], %%r1;\nret;\n}\n"
    // through(u32 *out): dynamic shared memory, each thread writes its own word and reads its neighbour's
    ".visible .entry through(.param .u64 out)\n{\n.reg .b32 %%r<8>;\n.reg .b64 %%d<8>;\n"
    "ld.param.u64 %%d1, [out];\nmov.u32 %%r1, %%tid.x;\nmov.u32 %%r2, %%ntid.x;\nmul.wide.u32 %%d2, %%r1, 4;\nmov.u64 %%d3, dynamic;\nadd.u64 %%d4, %%d3, %%d2;\n"
    "mad.lo.u32 %%r3, %%r1, %u, %u;\nst.shared.u32 [%%d4], %%r3;\nbar.sync 0;\nadd.u32 %%r4, %%r1, 1;\nrem.u32 %%r4, %%r4, %%r2;\nmul.wide.u32 %%d5, %%r4, 4;\n"
    "add.u64 %%d6, %%d3, %%d5;\nld.shared.u32 %%r5, [%%d6];\nadd.u64 %%d7, %%d1, %%d2;\nst.global.u32 [%%d7], %%r5;\nret;\n}\n"
    // limited(u32 *out): at most 64 threads in a block
    ".visible .entry limited(.param .u64 out)\n.maxntid 64, 1, 1\n{\n.reg .b32 %%r<3>;\n.reg .b64 %%d<4>;\n"
    "ld.param.u64 %%d1, [out];\nmov.u32 %%r1, %%tid.x;\nmul.wide.u32 %%d2, %%r1, 4;\nadd.u64 %%d3, %%d1, %%d2;\nst.global.u32 [%%d3], %%r1;\nret;\n}\n"
    // tables(u32 *out): table[i] + ramp[i]
    ".visible .entry tables(.param .u64 out)\n{\n.reg .b32 %%r<5>;\n.reg .b64 %%d<8>;\n"
    "ld.param.u64 %%d1, [out];\nmov.u32 %%r1, %%tid.x;\nmul.wide.u32 %%d2, %%r1, 4;\nmov.u64 %%d3, table;\nadd.u64 %%d3, %%d3, %%d2;\nld.global.u32 %%r2, [%%d3];\n"
    "mov.u64 %%d4, ramp;\nadd.u64 %%d4, %%d4, %%d2;\nld.const.u32 %%r3, [%%d4];\nadd.u32 %%r4, %%r2, %%r3;\nadd.u64 %%d5, %%d1, %%d2;\nst.global.u32 [%%d5], %%r4;\nret;\n}\n";

const char *module_text(void)
{
    static char text[8192];
    if (text[0]) return text;
    char words[256] = "";
    factor = random_u32();
    term = random_u32();
    for (int i = 0; i < 16; i++) {
        ramp[i] = random_u32();
        sprintf(words + strlen(words), "%s%u", i ? ", " : "", ramp[i]);
    }
    snprintf(text, sizeof text, pattern, words, factor, term, factor, term);
    return text;
}

u64 module(void)
{
    static u64 loaded;
    if (!loaded) OK(cuModuleLoadData(&loaded, module_text()));
    return loaded;
}

u64 function(const char *name)
{
    u64 f = 0;
    OK(cuModuleGetFunction(&f, module(), name));
    return f;
}

void run_affine(u64 out, u64 in, u32 n, u64 stream)
{
    void *parameters[] = {&out, &in, &n};
    OK(cuLaunchKernel(function("affine"), (n + 63) / 64, 1, 1, 64, 1, 1, 0, stream, parameters, NULL));
}

u64 device_words(const u32 *from, u32 n)
{
    u64 p = 0;
    OK(cuMemAlloc(&p, n * 4));
    if (from) OK(cuMemcpyHtoD(p, from, n * 4));
    else {
        OK(cuMemsetD32(p, 0, n));
        OK(cuCtxSynchronize()); // streams that do not wait for the default one may use it next
    }
    return p;
}

void words_are(u64 address, const u32 *expected, u32 n)
{
    u32 *found = calloc(n, 4);
    OK(cuMemcpyDtoH(found, address, n * 4));
    for (u32 i = 0; i < n; i++) IS(expected[i], found[i]);
    free(found);
}

void affine_of(u32 *out, const u32 *in, u32 n)
{
    for (u32 i = 0; i < n; i++) out[i] = in[i] * factor + term;
}
