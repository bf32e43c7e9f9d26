// A library in the place of NVIDIA's libnvrtc, for NvrtcTests: it knows architectures up to 90, "compiles" to PTX where compute_ is asked for and to machine code (bytes that nothing loads) where
// sm_ is, refuses what it does not know, and prints each option that it got.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char ptx[1024], cubin[64]; } program;
static const int known[] = {70, 80, 90};
static const char text[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry fill(.param .u64 out, .param .u32 value)\n{\n.reg .b32 %r<3>;\n.reg .b64 %d<4>;\n"
    "ld.param.u64 %d1, [out];\nld.param.u32 %r1, [value];\nmov.u32 %r2, %tid.x;\nmul.wide.u32 %d2, %r2, 4;\nadd.u64 %d3, %d1, %d2;\nadd.u32 %r1, %r1, %r2;\nst.global.u32 [%d3], %r1;\nret;\n}\n";

int nvrtcGetNumSupportedArchs(int *count) { *count = 3; return 0; }
int nvrtcGetSupportedArchs(int *list) { memcpy(list, known, sizeof known); return 0; }
int nvrtcVersion(int *major, int *minor) { *major = 11; *minor = 8; return 0; }
const char *nvrtcGetErrorString(int result) { return result == 5 ? "NVRTC_ERROR_INVALID_OPTION" : "NVRTC_SUCCESS"; }
int nvrtcCreateProgram(program **p, const char *source, const char *name, int headers, const char **contents, const char **names) { *p = calloc(1, sizeof **p); return headers; }
int nvrtcDestroyProgram(program **p) { free(*p); *p = NULL; return 0; }

int nvrtcCompileProgram(program *p, int count, const char **options)
{
    int arch = 70, machine = 0;
    for (int i = 0; i < count; i++) {
        printf("option %s\n", options[i]);
        if (sscanf(options[i], "--gpu-architecture=sm_%d", &arch) == 1) machine = 1;
        else sscanf(options[i], "--gpu-architecture=compute_%d", &arch);
    }
    if (arch != 70 && arch != 80 && arch != 90) return 5;
    strcpy(p->ptx, text);
    strcpy(p->cubin, machine ? "machine code" : "");
    return 0;
}

int nvrtcGetPTXSize(program *p, size_t *n) { *n = strlen(p->ptx) + 1; return 0; }
int nvrtcGetPTX(program *p, char *to) { strcpy(to, p->ptx); return 0; }
int nvrtcGetCUBINSize(program *p, size_t *n) { *n = strlen(p->cubin); return 0; }
int nvrtcGetCUBIN(program *p, char *to) { memcpy(to, p->cubin, strlen(p->cubin)); return 0; }
