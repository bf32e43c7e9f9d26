// Runs cases (surface.h). Usage:
//   surface run [via=symbols|resolver|perthread] [replaced=FUNCTION] [hold] [CASE...]
//     via: where addresses come from. replaced: cases that prove FUNCTION, with it doing nothing. hold: KEPT things are made, "held" is printed, and when the
//     file named by TRECR_SAMPLE_HOLD exists they are looked for and everything else is run.
//   surface stubs FUNCTION...: `run replaced=FUNCTION` in a process of its own for each; a line "stub FUNCTION: CASE WHY", or "stub FUNCTION: -" where nothing failed.
// Output: "begin CASE", then "ok CASE" or "FAILED CASE: why"; at the end "cases: N ok, M failed"; first and last the line by which a restart is told from a new
// start (docs/samples.md).
#include "surface.h"
#include <dlfcn.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define F(name, elf, version, arguments) int(*name) arguments;
#include "functions.h"
#undef F

static struct entry { const char *name, *elf; int version; void **slot, *real; } entries[] = {
#define F(name, elf, version, arguments) {#name, elf, version, (void **)&name, NULL},
#include "functions.h"
#undef F
};
#define ENTRIES (sizeof entries / sizeof *entries)

int device, after_restart;
u64 primary_context;
static struct test *tests, **last = &tests;
static jmp_buf case_end;
static char why[512];
static void *library;

void add_test(struct test *t) { *last = t; last = &t->next; }
void *find_symbol(const char *name) { return dlsym(library, name); }

void fail(const char *file, int line, const char *what, long long got, long long expected)
{
    snprintf(why, sizeof why, "%s:%d: %s is %lld, not %lld", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, what, got, expected);
    longjmp(case_end, 1);
}

void fill_random(void *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = getrandom((char *)to + done, bytes - done < 256 ? bytes - done : 256, 0);
        if (n > 0) done += n;
    }
}

u32 random_u32(void) { u32 x; fill_random(&x, sizeof x); return x | 1; }

static int nothing(void) { return 0; }

// "cuX" for the entries cuX and cuX_first.
static int is_form_of(const char *entry, const char *name)
{
    size_t n = strcspn(entry, "_");
    return strlen(name) == n && !strncmp(entry, name, n);
}

static void resolve(const char *via)
{
    library = dlopen("libcuda.so.1", RTLD_NOW);
    if (!library) { printf("%s\n", dlerror()); exit(3); }
    int (*ask)(const char *, void **, int, u64, int *) = find_symbol("cuGetProcAddress_v2");
    for (struct entry *e = entries; e < entries + ENTRIES; e++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(e->name, "_"), e->name);
        int status = -1;
        if (!strcmp(via, "symbols")) e->real = find_symbol(e->elf);
        else if (ask(name, &e->real, e->version, !strcmp(via, "perthread") ? 2 : 0, &status) || status) e->real = NULL;
        if (!e->real) { printf("%s not found by %s\n", e->name, via); exit(3); }
        *e->slot = e->real;
    }
}

static void replace(const char *name, int with_nothing)
{
    int found = 0;
    for (struct entry *e = entries; e < entries + ENTRIES; e++)
        if (is_form_of(e->name, name)) { *e->slot = with_nothing ? (void *)nothing : e->real; found = 1; }
    if (!found) { printf("no function %s\n", name); exit(2); }
}

static int proves(const struct test *t, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = t->proves; (p = strstr(p, name)); p += n)
        if ((p == t->proves || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return 1;
    return 0;
}

// One half of a case.
static int half(struct test *t, void (*body)(void))
{
    alarm(60);
    if (setjmp(case_end)) { printf("FAILED %s: %s\n", t->name, why); return 0; }
    body();
    return 1;
}

static const char *wanted_function, **wanted_cases;

const char *replaced_function(void) { return wanted_function; }

static int wanted(const struct test *t)
{
    if (wanted_function) return proves(t, wanted_function);
    if (!*wanted_cases) return 1;
    for (const char **c = wanted_cases; *c; c++) if (!strcmp(*c, t->name)) return 1;
    return 0;
}

static void must(int result, const char *what)
{
    if (result) { printf("%s: %d\n", what, result); exit(3); }
}

// With the real functions: what every case rests on.
static void set_up(void)
{
    must(cuInit(0), "cuInit");
    must(cuDeviceGet(&device, 0), "cuDeviceGet");
    must(cuDevicePrimaryCtxRetain(&primary_context, device), "cuDevicePrimaryCtxRetain");
    must(cuCtxSetCurrent(primary_context), "cuCtxSetCurrent");
}

static char nonce[33];
static int starts = -1;

// Adds one to the file named by TRECR_SAMPLE_COUNTER and draws the nonce.
static void count_start(void)
{
    const char *path = getenv("TRECR_SAMPLE_COUNTER");
    unsigned char bytes[16];
    fill_random(bytes, sizeof bytes);
    for (int i = 0; i < 16; i++) sprintf(nonce + 2 * i, "%02x", bytes[i]);
    if (!path) return;
    starts = 0;
    FILE *f = fopen(path, "r");
    if (f) {
        if (fscanf(f, "%d", &starts) != 1) starts = 0;
        fclose(f);
    }
    f = fopen(path, "w");
    if (!f) exit(3);
    fprintf(f, "%d\n", ++starts);
    fclose(f);
}

static void mark(const char *when, int count) { printf("surface: %s nonce=%s starts=%d launches=%d\n", when, nonce, starts, count); }

static int run(const char *via, int hold)
{
    int ok = 0, failed = 0;
    count_start();
    mark("begin", 0);
    module_text(); // draws the constants
    resolve(via);
    if (wanted_function) replace(wanted_function, 1);
    for (struct test *t = tests; t; t = t->next)
        if (t->early && wanted(t)) { printf("begin %s\n", t->name); if (half(t, t->make)) { printf("ok %s\n", t->name); ok++; } else failed++; }
    if (wanted_function) replace(wanted_function, 0);
    set_up();
    if (wanted_function) replace(wanted_function, 1);
    if (hold) {
        for (struct test *t = tests; t; t = t->next)
            if (!t->early && t->check && wanted(t)) { printf("begin %s\n", t->name); t->made = half(t, t->make); failed += !t->made; }
        alarm(0);
        printf("held\n");
        while (access(getenv("TRECR_SAMPLE_HOLD"), F_OK)) usleep(2000);
        after_restart = 1;
    }
    for (struct test *t = tests; t; t = t->next) {
        if (t->early || !wanted(t)) continue;
        if (!hold || !t->check) printf("begin %s\n", t->name);
        if (t->check && hold && !t->made) continue;
        if (((t->check && hold) || half(t, t->make)) && (!t->check || half(t, t->check))) { printf("ok %s\n", t->name); ok++; } else failed++;
    }
    mark("end", ok + failed);
    printf("cases: %d ok, %d failed\n", ok, failed);
    return failed ? 1 : 0;
}

// A case that did not end well in a run with FUNCTION replaced, from the lines of that run.
static void stub(const char *self, const char *name)
{
    int ends[2];
    char option[128], line[600], begun[128] = "", caught[128] = "", reason[512] = "";
    if (pipe(ends)) exit(3);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        snprintf(option, sizeof option, "replaced=%s", name);
        execl(self, self, "run", option, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    while (fgets(line, sizeof line, lines)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "begin ", 6)) snprintf(begun, sizeof begun, "%.120s", line + 6);
        if (!strncmp(line, "ok ", 3)) begun[0] = 0;
        if (!strncmp(line, "FAILED ", 7)) {
            // The last one stands: cases before cuInit come first, and look at little.
            snprintf(caught, sizeof caught, "%s", begun);
            snprintf(reason, sizeof reason, "%.500s", strchr(line, ':') + 2);
            begun[0] = 0;
        }
    }
    fclose(lines);
    int status = 0;
    waitpid(child, &status, 0);
    // A case that ended with the process.
    if (begun[0]) {
        snprintf(caught, sizeof caught, "%s", begun);
        snprintf(reason, sizeof reason, WIFSIGNALED(status) ? "ends with signal %d" : "exits with code %d", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    printf("stub %s: %s %s\n", name, caught[0] ? caught : "-", reason);
}

int main(int argc, const char **argv)
{
    const char *via = "symbols";
    int hold = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && !strcmp(argv[1], "stubs")) {
        for (int i = 2; i < argc; i++) stub(argv[0], argv[i]);
        return 0;
    }
    if (argc > 2 && !strcmp(argv[1], "peer")) {
        module_text();
        resolve("symbols");
        set_up();
        if (argc > 3) replace(argv[3], 1);
        peer_serve(atoi(argv[2]));
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "run")) return 2;
    int i = 2;
    for (; i < argc; i++)
        if (!strncmp(argv[i], "via=", 4)) via = argv[i] + 4;
        else if (!strncmp(argv[i], "replaced=", 9)) wanted_function = argv[i] + 9;
        else if (!strcmp(argv[i], "hold")) hold = 1;
        else break;
    wanted_cases = argv + i;
    return run(via, hold);
}
