/* Calls out of order, with arguments that mean nothing, or too early: each fails, and nothing that was complete is lost. Ends with "ok". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "scr.h"

#define CHECK(x) do { if (!(x)) { printf("line %d: %s\n", __LINE__, #x); return 1; } } while (0)
#define GOOD(call) CHECK((call) == SCR_SUCCESS)
#define BAD(call) CHECK((call) != SCR_SUCCESS)

static char file[SCR_MAX_FILENAME], name[SCR_MAX_FILENAME];

static int write_one(const char *path, const char *text) {
    if (SCR_Route_file(path, file) != SCR_SUCCESS) return 1;
    FILE *out = fopen(file, "w");
    return !out || fputs(text, out) < 0 || fclose(out) != 0;
}

int main(void) {
    int flag = 7;
    BAD(SCR_Finalize());
    BAD(SCR_Need_checkpoint(&flag));
    CHECK(flag == 0);
    BAD(SCR_Start_output("a", SCR_FLAG_CHECKPOINT));
    BAD(SCR_Route_file("a", file));
    CHECK(!SCR_Config("SCR_FLUSH=0") && !SCR_Config("SCR_CACHE_BYPASS=0") && !SCR_Config("SCR_COPY_TYPE=SINGLE") && !SCR_Config("SCR_CACHE_SIZE=2"));
    char *value = (char *)SCR_Config("SCR_COPY_TYPE");
    CHECK(value && !strcmp(value, "SINGLE"));
    free(value);
    CHECK(!SCR_Config("a b c") && !SCR_Config(""));
    CHECK(!SCR_Config("CKPT=3 TYPE=RS INTERVAL=5"));
    value = (char *)SCR_Configf("CKPT=%d %s", 3, "TYPE");
    CHECK(value && !strcmp(value, "RS"));
    free(value);
    GOOD(SCR_Init());
    BAD(SCR_Init());
    CHECK(!SCR_Config("SCR_FLUSH=1"));
    value = (char *)SCR_Config("SCR_FLUSH");
    CHECK(value && !strcmp(value, "0"));
    free(value);

    GOOD(SCR_Have_restart(&flag, name));
    CHECK(flag == 0);
    BAD(SCR_Start_restart(name));
    BAD(SCR_Complete_restart(1));
    BAD(SCR_Complete_output(1));
    BAD(SCR_Start_output("a", 64));
    BAD(SCR_Have_restart(NULL, name));

    GOOD(SCR_Start_output("first", SCR_FLAG_CHECKPOINT));
    BAD(SCR_Start_output("second", SCR_FLAG_CHECKPOINT));
    BAD(SCR_Complete_checkpoint(1));
    BAD(SCR_Need_checkpoint(&flag));
    BAD(SCR_Should_exit(&flag));
    BAD(SCR_Route_file("/outside/of/the/prefix", file));
    BAD(SCR_Route_file(".scr/index.scr", file));
    CHECK(write_one("dir/one", "1") == 0);
    CHECK(write_one("other/one", "2") == 0); /* the same base name */
    GOOD(SCR_Complete_output(1));

    GOOD(SCR_Start_checkpoint());
    BAD(SCR_Complete_output(1));
    CHECK(write_one("two", "2") == 0);
    BAD(SCR_Complete_checkpoint(0)); /* dropped */
    GOOD(SCR_Start_checkpoint());
    GOOD(SCR_Route_file("never", file));
    BAD(SCR_Complete_checkpoint(1)); /* routed, and not written */

    GOOD(SCR_Have_restart(&flag, name));
    CHECK(flag == 1 && !strcmp(name, "first"));
    GOOD(SCR_Start_restart(name));
    BAD(SCR_Start_output("c", SCR_FLAG_CHECKPOINT));
    BAD(SCR_Route_file("dir/nothing", file));
    GOOD(SCR_Route_file("other/one", file));
    FILE *in = fopen(file, "r");
    CHECK(in && fgetc(in) == '2');
    fclose(in);
    GOOD(SCR_Complete_restart(1));

    /* A file that was changed behind SCR's back is not offered by the next run; here only that a second dataset does not take the first with it. */
    GOOD(SCR_Start_output("second", SCR_FLAG_CHECKPOINT | SCR_FLAG_OUTPUT));
    CHECK(write_one("second/file", "3") == 0);
    GOOD(SCR_Complete_output(1));
    CHECK(access("second/file", R_OK) == 0); /* output is brought to the prefix directory at once */
    GOOD(SCR_Have_restart(&flag, name));
    CHECK(flag == 1 && !strcmp(name, "second"));
    GOOD(SCR_Start_restart(name));
    BAD(SCR_Complete_restart(0)); /* not accepted: the one before */
    GOOD(SCR_Have_restart(&flag, name));
    CHECK(flag == 1 && !strcmp(name, "first"));
    BAD(SCR_Drop("unknown"));
    BAD(SCR_Current("unknown"));
    GOOD(SCR_Delete("second"));
    CHECK(access("second/file", R_OK) != 0 && access("second", R_OK) != 0);
    CHECK(!strcmp(SCR_Get_version(), SCR_VERSION));
    GOOD(SCR_Finalize());
    BAD(SCR_Finalize());
    GOOD(SCR_Init());
    GOOD(SCR_Have_restart(&flag, name));
    CHECK(flag == 1 && !strcmp(name, "first"));
    GOOD(SCR_Finalize());
    puts("ok");
    return 0;
}
