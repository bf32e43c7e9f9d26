/* Calls of VELOC's interface that are wrong, and that must answer VELOC_FAILURE, lose nothing and never end the program. misuse CONFIGURATION; says "ok" at the end. One process. */
#define VELOC_WITHOUT_MPI
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "veloc.h"

static int failures;

#define EXPECT(value, call) expect(value, call, #call, __LINE__)

static void expect(int wanted, int got, const char *call, int line) {
    if (wanted == got) return;
    printf("line %d: %s is %d, not %d\n", line, call, got, wanted);
    failures++;
}

int main(int argc, char **argv) {
    const char *configuration = argc > 1 ? argv[1] : "";
    char routed[VELOC_MAX_NAME], long_name[300];
    int a[4] = {1, 2, 3, 4}, b[8] = {5}, one = 1, seven = 7, both[] = {1, 2};
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;

    /* Before the beginning. */
    EXPECT(-1, VELOC_Mem_protect(1, a, 4, sizeof *a));
    EXPECT(-1, VELOC_Checkpoint("x", 1));
    EXPECT(-1, VELOC_Checkpoint_wait());
    EXPECT(-1, VELOC_Restart_test("x", 0));
    EXPECT(-1, VELOC_Finalize(1));
    EXPECT(-1, VELOC_Init_single(0, "/nonexistent/veloc.cfg"));
    EXPECT(-1, VELOC_Init_single(0, ""));
    EXPECT(0, VELOC_Init_single(0, configuration));
    EXPECT(-1, VELOC_Init_single(0, configuration));

    /* Regions. */
    EXPECT(-1, VELOC_Mem_unprotect(1));
    EXPECT(-1, VELOC_Mem_protect(1, NULL, 4, 4));
    EXPECT(-1, VELOC_Mem_protect(1, a, (size_t)LONG_MAX, 16));
    EXPECT(-1, VELOC_Mem_protect(1, a, (size_t)-1, 1));
    EXPECT(0, VELOC_Mem_protect(1, a, 4, sizeof *a));
    EXPECT(0, VELOC_Mem_protect(1, a, 4, sizeof *a));
    EXPECT(0, VELOC_Mem_protect(2, b, 8, sizeof *b));
    EXPECT(-1, VELOC_Region_protect(1, a, 4, 4, "no/name"));

    /* Out of order, and names. */
    EXPECT(-1, VELOC_Checkpoint_mem());
    EXPECT(-1, VELOC_Checkpoint_end(1));
    EXPECT(-1, VELOC_Route_file("/tmp/x", routed));
    EXPECT(-1, VELOC_Recover_mem());
    EXPECT(-1, VELOC_Recover_size(1));
    EXPECT(-1, VELOC_Restart_end(1));
    EXPECT(-1, VELOC_Checkpoint_begin("no/name", 1));
    EXPECT(-1, VELOC_Checkpoint_begin("", 1));
    EXPECT(-1, VELOC_Checkpoint_begin(long_name, 1));
    EXPECT(-1, VELOC_Checkpoint_begin("x", -1));
    EXPECT(0, VELOC_Checkpoint_begin("x", 1));
    EXPECT(-1, VELOC_Checkpoint_begin("y", 1));
    EXPECT(-1, VELOC_Checkpoint_wait());
    EXPECT(-1, VELOC_Restart_begin("x", 1));
    EXPECT(-1, VELOC_Checkpoint_selective(VELOC_CKPT_SOME, &seven, 1));
    EXPECT(-1, VELOC_Checkpoint_selective(9, &one, 1));
    EXPECT(-1, VELOC_Checkpoint_selective(VELOC_CKPT_SOME, NULL, 3));
    EXPECT(-1, VELOC_Checkpoint_selective(VELOC_CKPT_REST, both, 2));
    EXPECT(-1, VELOC_Checkpoint_end(1));
    EXPECT(-1, VELOC_Restart_test("x", 0));

    /* Selected regions, one call after the other; a dropped checkpoint. */
    EXPECT(0, VELOC_Checkpoint_begin("x", 1));
    EXPECT(0, VELOC_Checkpoint_selective(VELOC_CKPT_SOME, &one, 1));
    EXPECT(-1, VELOC_Route_file("/tmp/x", routed));
    EXPECT(0, VELOC_Checkpoint_selective(VELOC_CKPT_REST, &one, 1));
    a[0] = 100;
    EXPECT(0, VELOC_Checkpoint_end(1));
    EXPECT(0, VELOC_Checkpoint_wait());
    EXPECT(0, VELOC_Checkpoint_finished());
    EXPECT(0, VELOC_Checkpoint_begin("x", 2));
    EXPECT(0, VELOC_Checkpoint_mem());
    EXPECT(0, VELOC_Checkpoint_end(0));
    EXPECT(1, VELOC_Restart_test("x", 0));
    EXPECT(0, VELOC_Checkpoint("x", 7));
    EXPECT(7, VELOC_Restart_test("x", 0));
    EXPECT(7, VELOC_Restart_test("x", 7));
    EXPECT(1, VELOC_Restart_test("x", 6));
    EXPECT(-1, VELOC_Restart_test("xx", 0));
    EXPECT(-1, VELOC_Restart_begin("x", 3));

    /* What comes back is what was there when it was taken; what does not fit is refused before a byte is written. */
    EXPECT(0, VELOC_Restart_begin("x", 1));
    EXPECT(16, VELOC_Recover_size(1));
    EXPECT(32, VELOC_Recover_size(2));
    EXPECT(-1, VELOC_Recover_size(3));
    EXPECT(0, VELOC_Mem_protect(2, b, 7, sizeof *b));
    EXPECT(-1, VELOC_Recover_mem());
    EXPECT(100, a[0]);
    EXPECT(-1, VELOC_Recover_selective(VELOC_RECOVER_SOME, &seven, 1));
    EXPECT(0, VELOC_Recover_selective(VELOC_RECOVER_SOME, &one, 1));
    EXPECT(1, a[0]);
    b[0] = 0;
    EXPECT(0, VELOC_Mem_unprotect(2));
    EXPECT(-1, VELOC_Recover_selective(VELOC_RECOVER_REST, &one, 1));
    EXPECT(0, VELOC_Mem_protect(2, b, 8, sizeof *b));
    EXPECT(0, VELOC_Recover_selective(VELOC_RECOVER_REST, &one, 1));
    EXPECT(5, b[0]);
    EXPECT(0, VELOC_Restart_end(1));
    EXPECT(-1, VELOC_Restart_end(1));

    /* Regions of a name come instead of the general ones. */
    EXPECT(0, VELOC_Region_protect(9, b, 8, sizeof *b, "named"));
    EXPECT(0, VELOC_Checkpoint("named", 0));
    EXPECT(0, VELOC_Restart_test("named", 0));
    EXPECT(0, VELOC_Restart_begin("named", 0));
    EXPECT(-1, VELOC_Recover_size(1));
    EXPECT(32, VELOC_Recover_size(9));
    EXPECT(0, VELOC_Restart_end(1));
    EXPECT(-1, VELOC_Region_unprotect(8, "named"));
    EXPECT(0, VELOC_Region_unprotect(9, "named"));
    EXPECT(0, VELOC_Region_clear("named"));
    EXPECT(0, VELOC_Mem_clear());
    EXPECT(-1, VELOC_Checkpoint("x", 8));
    EXPECT(7, VELOC_Restart_test("x", 0));

    /* A file that was routed and not written. */
    EXPECT(0, VELOC_Checkpoint_begin("file", 1));
    EXPECT(0, VELOC_Route_file("anywhere.bin", routed));
    EXPECT(-1, VELOC_Checkpoint_end(1));
    EXPECT(-1, VELOC_Restart_test("file", 0));
    EXPECT(0, VELOC_Finalize(1));
    EXPECT(-1, VELOC_Finalize(1));
    EXPECT(-1, VELOC_Checkpoint_wait());

    /* Once more in the same process. */
    EXPECT(0, VELOC_Init_single(0, configuration));
    EXPECT(7, VELOC_Restart_test("x", 0));
    EXPECT(0, VELOC_Cleanup("named"));
    EXPECT(0, VELOC_Finalize(0));
    puts(failures ? "not ok" : "ok");
    return failures != 0;
}
