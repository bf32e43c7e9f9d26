// A rank that does not call MPI: counts, and writes a line a step to a file of its own, so that the ranks' lines do not mix.
//   ranks DIR STEPS [input]      with "input" rank 0 first reads a line of standard input
// DIR/starts.R counts its starts, DIR/out.R has its lines; it waits before step N while DIR/pause.N exists, and before the last until DIR/hold does.
// Ends with the number in DIR/code.R, or 0. Standard output tells where it is: "R step N".
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
static void count(int number) { (void)number; signals++; }

static int number(const char *dir, const char *name, const char *rank, int otherwise)
{
    char file[4096];
    snprintf(file, sizeof file, "%s/%s.%s", dir, name, rank);
    FILE *f = fopen(file, "r");
    if (!f) return otherwise;
    int n = otherwise;
    if (fscanf(f, "%d", &n) != 1) n = otherwise;
    fclose(f);
    return n;
}

static int there(const char *dir, const char *name, int n)
{
    char file[4096];
    if (n < 0) snprintf(file, sizeof file, "%s/%s", dir, name);
    else snprintf(file, sizeof file, "%s/%s.%d", dir, name, n);
    return !access(file, F_OK);
}

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.' && atoi(e->d_name) > 2 && atoi(e->d_name) != dirfd(d);
    closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const char *dir = argv[1], *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!rank) rank = getenv("PMI_RANK");
    if (!rank) rank = getenv("SLURM_PROCID");
    if (!rank) return 3;
    int foreign = descriptors(), steps = atoi(argv[2]);
    struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
    sigaction(SIGUSR1, &action, NULL);
    char file[4096], input[256] = "-";
    snprintf(file, sizeof file, "%s/starts.%s", dir, rank);
    int starts = number(dir, "starts", rank, 0) + 1;
    FILE *f = fopen(file, "w");
    if (!f) return 4;
    fprintf(f, "%d\n", starts);
    fclose(f);
    if (argc > 3 && !strcmp(rank, "0") && !fgets(input, sizeof input, stdin)) strcpy(input, "nothing");
    input[strcspn(input, "\n")] = 0;
    unsigned long nonce, sum = strtoul(rank, NULL, 10) + 1;
    if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) return 5;
    snprintf(file, sizeof file, "%s/out.%s", dir, rank);
    FILE *out = fopen(file, "w");
    if (!out) return 6;
    fprintf(out, "nonce %016lx descriptors %d PMI_FD %d HYDI %d input %s\n", nonce, foreign, getenv("PMI_FD") != NULL, getenv("HYDI_CONTROL_FD") != NULL, input);
    fflush(out);
    static unsigned char block[1 << 20];
    int told = 0;
    for (int at = 0; at < steps; at++) {
        while (there(dir, "pause", at) || (at == steps - 1 && !there(dir, "hold", -1))) {
            if (signals && !told) {
                told = 1;
                snprintf(file, sizeof file, "%s/signalled.%s", dir, rank);
                if ((f = fopen(file, "w"))) fclose(f);
            }
            usleep(2000);
        }
        for (int i = 0; i < (int)sizeof block; i += 512) block[i] = (unsigned char)(block[i] * 5 + at), sum = sum * 31 + block[i];
        fprintf(out, "step %d sum %016lx\n", at, sum);
        fflush(out);
        printf("%s step %d\n", rank, at);
        fflush(stdout);
        usleep(10000);
    }
    fprintf(out, "end nonce %016lx signals %d\n", nonce, (int)signals);
    fclose(out);
    printf("%s end\n", rank);
    fflush(stdout);
    return number(dir, "code", rank, 0);
}
