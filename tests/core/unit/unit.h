/* Unit tests of the core's parts: a fixture and one function per part. A failed check prints the seed and ends. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "native.h"
#include "ordered.h"
#include "program.h" /* random numbers */
#include "scheduler.h"
#include "view.h"

extern uint64_t unit_seed;

#define CHECK(condition)                                                                                                         \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            fprintf(stderr, "%s:%d: %s  (--seed %lu)\n", __FILE__, __LINE__, #condition, (unsigned long)unit_seed);              \
            exit(1);                                                                                                             \
        }                                                                                                                        \
    } while (0)

typedef struct fixture {
    uint8_t *base;
    uint64_t size;
    ioi_arena arena;
    ioi_alloc alloc;
} fixture;

/* An arena with `room` bytes beyond the header. */
void fixture_arena(fixture *f, uint64_t room);

/* The same with a block of n transactions laid out and started. */
void fixture_block(fixture *f, uint32_t n, uint32_t workers, uint64_t room);
void fixture_block_of(fixture *f, const ioi_block_input *input, uint64_t room);
void fixture_free(fixture *f);

ioi_entry *intern(fixture *f, ioi_alloc *alloc, const char *key);

/* Run `run(context, thread)` on `count` threads and wait for them. */
void on_threads(uint32_t count, void (*run)(void *context, uint32_t thread), void *context);

void test_arena(void);
void test_index(void);
void test_versions(void);
void test_ordered(void);
void test_mvmemory(void);
void test_sums(void);
void test_scheduler(void);
void test_view(void);
void test_native(void);
void test_gas(void);
void test_receipts(void);
void test_seal(void);
void test_sequential(void);
void test_cache(void);

#endif
