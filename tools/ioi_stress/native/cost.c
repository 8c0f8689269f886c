#include "cost.h"

#include <errno.h>
#include <time.h>

enum { GAP_NS = 20000 }; /* as in cost.py */

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void program_burn(uint64_t nanoseconds) {
    uint64_t then = now(), burned = 0;
    while (burned < nanoseconds) {
        uint64_t at = now(), step = at - then;
        burned += step < GAP_NS ? step : GAP_NS;
        then = at;
    }
}

void program_sleep(uint64_t nanoseconds) {
    struct timespec left = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}
