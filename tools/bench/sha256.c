/* Nanoseconds a message of 64 bytes, two blocks with its padding, for each back end of storage/core/sha256.h this CPU has.
 *
 *   sha256 ROUNDS
 *
 * Back ends, and 1, 2 and many messages a call, alternate within a round. One JSON object a line:
 * {"backend", "messages", "median", "p10", "p90"}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sha256.h"

enum { BACKENDS = 3, MANY = 32, REPEATS = 20, SIZE = 64 };

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint8_t blocks[MANY][SHA256_TWO_BLOCKS], digests[MANY][SHA256_SIZE];

static double measure(size_t together) {
    uint8_t *out[MANY];
    for (size_t i = 0; i < MANY; i++) out[i] = digests[i];
    double began = now_ns();
    for (int repeat = 0; repeat < REPEATS; repeat++)
        for (size_t i = 0; i < MANY; i += together)
            sha256_two_blocks((const uint8_t (*)[SHA256_TWO_BLOCKS])blocks[i], out + i, together);
    return (now_ns() - began) / (MANY * REPEATS);
}

int main(int argc, char **argv) {
    static const char *const names[BACKENDS] = {"sha-ni", "armv8", "portable"};
    static const size_t together[] = {1, 2, MANY};
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    if (rounds < 1) return 2;
    double *measured[BACKENDS][3];
    for (int n = 0; n < BACKENDS; n++)
        for (int t = 0; t < 3; t++) measured[n][t] = malloc((size_t)rounds * sizeof(double));
    for (int i = 0; i < MANY; i++) {
        for (int j = 0; j < SIZE; j++) blocks[i][j] = (uint8_t)(i * 31 + j);
        sha256_pad(blocks[i], SIZE);
    }
    for (int round = 0; round < rounds; round++)
        for (int n = 0; n < BACKENDS; n++)
            for (int t = 0; t < 3 && sha256_choose(names[n]); t++) measured[n][t][round] = measure(together[t]);
    for (int n = 0; n < BACKENDS; n++) {
        for (int t = 0; t < 3 && sha256_choose(names[n]); t++) {
            double *all = measured[n][t];
            qsort(all, (size_t)rounds, sizeof *all, ascending);
            printf("{\"backend\": \"%s\", \"messages\": %zu, \"median\": %.1f, \"p10\": %.1f, \"p90\": %.1f}\n", names[n],
                   together[t], all[rounds / 2], all[(rounds - 1) / 10], all[(rounds - 1) * 9 / 10]);
        }
    }
    return 0;
}
