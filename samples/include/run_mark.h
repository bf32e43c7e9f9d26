// Marks of one run of a sample, so that a program which was started over is not taken for one that was restarted:
// a nonce from the kernel kept in memory, a start counter in a file outside the job, a count of the work done.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/random.h>
#include <unistd.h>

struct RunMark {
    char nonce[33];
    long long starts;   // how often main began with this counter file; -1 without TRECR_SAMPLE_COUNTER
    long long launches; // kernels launched by this program so far

    // Adds one to the file named by TRECR_SAMPLE_COUNTER, if set, and draws the nonce. Exit code 2 when the file cannot be written.
    RunMark() : starts(-1), launches(0) {
        setvbuf(stdout, nullptr, _IOLBF, 0);
        unsigned char bytes[16];
        if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) { perror("getrandom"); exit(2); }
        for (int i = 0; i < 16; i++) snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
        const char* path = getenv("TRECR_SAMPLE_COUNTER");
        if (path && *path) {
            starts = 0;
            if (FILE* f = fopen(path, "r")) {
                if (fscanf(f, "%lld", &starts) != 1) starts = 0;
                fclose(f);
            }
            starts++;
            FILE* f = fopen(path, "w");
            if (!f) { perror(path); exit(2); }
            fprintf(f, "%lld\n", starts);
            fclose(f);
        }
    }

    // Called before the last unit of work: waits until the file named by TRECR_SAMPLE_HOLD exists, if that is set, so that a test can be sure
    // that its kill falls before the end. Gives up after ten minutes with exit code 2.
    void hold() const {
        const char* path = getenv("TRECR_SAMPLE_HOLD");
        if (!path || !*path) return;
        for (int tries = 0; access(path, F_OK) != 0; tries++) {
            if (tries == 300000) { fprintf(stderr, "%s: waited ten minutes in vain\n", path); exit(2); }
            usleep(2000);
        }
    }

    // One line, printed at the start and at the end: `NAME: begin|end nonce=... starts=... launches=...`.
    void print(const char* program, const char* when) const {
        printf("%s: %s nonce=%s starts=%lld launches=%lld\n", program, when, nonce, starts, launches);
    }

    // Writes the same figures to PATH.nonce, beside an output file that two runs can then be compared by.
    void write_beside(const char* path) const {
        std::string name = std::string(path) + ".nonce";
        FILE* f = fopen(name.c_str(), "w");
        if (!f) { perror(name.c_str()); exit(2); }
        fprintf(f, "nonce=%s\nstarts=%lld\nlaunches=%lld\n", nonce, starts, launches);
        if (fclose(f) != 0) { perror(name.c_str()); exit(2); }
    }
};

// Options are `--name value`; an unknown one ends the program with exit code 2.
struct Options {
    int argc;
    char** argv;
    const char* usage;

    Options(int c, char** v, const char* text) : argc(c), argv(v), usage(text) {
        if (argc % 2 == 0) fail(argv[argc - 1]);
        for (int i = 1; i < argc; i += 2)
            if (strncmp(argv[i], "--", 2) != 0 || !strstr(usage, argv[i])) fail(argv[i]);
    }
    void fail(const char* what) const {
        fprintf(stderr, "%s: bad option %s\nusage: %s\n", argv[0], what, usage);
        exit(2);
    }
    const char* text(const char* name, const char* fallback) const {
        for (int i = 1; i + 1 < argc; i += 2)
            if (strcmp(argv[i], name) == 0) return argv[i + 1];
        return fallback;
    }
    int number(const char* name, int fallback, int least) const {
        const char* s = text(name, nullptr);
        if (!s) return fallback;
        char* end;
        long v = strtol(s, &end, 10);
        if (*end || v < least || v > 1 << 30) fail(name);
        return (int)v;
    }
};

// 32 well mixed bits of a counter (public constants of the lowbias32 family); the same on host and device.
#if defined(__CUDACC__) || defined(__CUDA__)
__host__ __device__
#endif
static inline uint32_t mix32(uint32_t x) {
    x ^= x >> 16; x *= 0x7feb352du;
    x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// FNV-1a over bytes, printed by the samples as the fingerprint of a result.
static inline uint64_t fnv1a(const void* data, size_t lengthBytes, uint64_t h = 0xcbf29ce484222325ull) {
    const unsigned char* p = (const unsigned char*)data;
    for (size_t i = 0; i < lengthBytes; i++) h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}
