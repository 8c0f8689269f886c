#include "wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef IOI_SIM /* the simulated schedule brings its own sleep, wake and clock */

bool ioi_futex_wait(a32 *word, uint32_t expected, uint64_t timeout_ns) {
    struct timespec limit = {.tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u)};
    /* Not FUTEX_PRIVATE: the word is shared between processes. */
    long r = syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT, expected, timeout_ns ? &limit : NULL, NULL, 0);
    return !(r == -1 && errno == ETIMEDOUT);
}

void ioi_futex_wake(a32 *word, uint32_t count) {
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE, count > INT32_MAX ? INT32_MAX : count, NULL, NULL, 0);
}

void ioi_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

uint64_t ioi_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
