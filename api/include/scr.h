/* SCR's interface (https://scr.readthedocs.io, 3.1): published names and values, declared for TreCr's libscr.so. docs/api.md says what each call does here.
   Every function returns SCR_SUCCESS, or another value and says on standard error what went wrong. All ranks call them together, but for SCR_Route_file, SCR_Config and SCR_Get_version. */
#ifndef TRECR_SCR_H
#define TRECR_SCR_H

#include <stdarg.h>
#include <stdio.h>

#define SCR_SUCCESS (0)
#define SCR_MAX_FILENAME (1024)

#define SCR_FLAG_NONE (0)
#define SCR_FLAG_CHECKPOINT (1)
#define SCR_FLAG_OUTPUT (2)

#define SCR_VERSION "v3.1.0"
#define SCR_VERSION_MAJOR "3"
#define SCR_VERSION_MINOR "1"
#define SCR_VERSION_PATCH "0"

#ifdef __cplusplus
extern "C" {
#endif

/* After MPI_Init, where the program uses MPI. */
int SCR_Init(void);
int SCR_Finalize(void);

/* "NAME=VALUE" sets, before SCR_Init, and returns NULL; "NAME" asks, and returns what is to be freed, or NULL. */
const char *SCR_Config(const char *config);

/* file: SCR_MAX_FILENAME bytes. */
int SCR_Route_file(const char *name, char *file);

int SCR_Need_checkpoint(int *flag);
int SCR_Start_output(const char *name, int flags);
int SCR_Complete_output(int valid);
int SCR_Start_checkpoint(void);
int SCR_Complete_checkpoint(int valid);

/* name: NULL, or SCR_MAX_FILENAME bytes. */
int SCR_Have_restart(int *flag, char *name);
int SCR_Start_restart(char *name);
int SCR_Complete_restart(int valid);

int SCR_Current(const char *name);
int SCR_Drop(const char *name);
int SCR_Delete(const char *name);
int SCR_Should_exit(int *flag);

/* Not to be freed. */
char *SCR_Get_version(void);

/* SCR_Config of a text made as by printf. In the header: a library that is not written in C cannot export it. */
static inline const char *SCR_Configf(const char *format, ...) {
    char text[4 * SCR_MAX_FILENAME];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return SCR_Config(text);
}

#ifdef __cplusplus
}
#endif

#endif
