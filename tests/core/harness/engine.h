/* The engine under test: a coordinator and workers over one mapping, playing random blocks. The callers bring the
 * concurrency: threads (threads.c) or coroutines under a chosen schedule (simulate.c). */
#ifndef TEST_ENGINE_H
#define TEST_ENGINE_H

#include "block.h"
#include "block_case.h"
#include "native.h"
#include "rows.h"

enum { ENGINE_WORKERS_MAX = 8 };

typedef struct engine engine;

/* A world over an ioi_state: the operations as a native VM calls them, stopping where it is told to. With `resume`, the
 * way the view for Python works: fetch or wait inside the operation, then go on. */
typedef struct state_world {
    world world; /* first */
    ioi_state *state;
    ioi_view *view; /* NULL: no engine underneath (sequential.c) */
    engine *engine;
    const block_case *c;
    bool resume;
    ioi_key handles[KEYS_MAX];
    bool known[KEYS_MAX];
    program_outcome outcome; /* must outlive the VM's return */
} state_world;

void state_world_init(state_world *x, engine *e, const block_case *c, ioi_state *state, ioi_view *view, bool resume);

/* Walking over what is committed of a case; `overlaid`: with the overlay over it. */
typedef struct case_walks {
    ioi_base_ranges ranges; /* first */
    const block_case *c;
    bool overlaid;
} case_walks;

void case_walks_init(case_walks *w, const block_case *c, bool overlaid);

typedef struct test_vm {
    ioi_vm vm; /* first */
    engine *engine;
} test_vm;

struct engine {
    ioi_arena arena;
    const block_case *c; /* the block being played */
    uint32_t workers, spins;
    ioi_policy policy;
    uint32_t small_block; /* blocks of at most so many transactions are one worker's */
    uint32_t resume_mask; /* bit i: worker i goes on inside operations, instead of starting again */
    uint64_t forced_cost; /* what workers believe a transaction costs, ns; 0 = as measured */
    uint64_t growth;      /* percent by which a full arena grows */
    bool record;          /* blocks are recorded, and the records checked */
    bool abandoned;       /* the attempt was given up: workers only have to leave */
    uint32_t attempts;    /* runs the current block has taken */
    uint64_t executions, aborts, suspensions, solo, fulls, events, sums; /* of all blocks so far */
    void (*shake)(engine *);                                             /* called at every operation, or NULL */
    void (*spin)(engine *, uint32_t turns);
    void (*fail)(engine *, const char *message); /* must not return */
    test_vm vm;
    state_world worlds[ENGINE_WORKERS_MAX];
};

void engine_fail(engine *e, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

/* Half of the time the default. */
ioi_policy policy_random(uint64_t *rng);

/* Over `size` zeroed bytes, `room` of them beyond the header reserved. */
void engine_init(engine *e, uint8_t *base, uint64_t size, uint64_t room, const uint64_t hash_seed[4]);

/* One worker's life: blocks until the shutdown. */
void engine_worker(engine *e, uint32_t id);

/* Coordinator: play one block to its end, again with more room while the arena is full, and compare. */
void engine_play(engine *e, const block_case *c, uint64_t timeout_ns);

/* The parts of the above, for schedules that end otherwise. */
void engine_begin(engine *e, const block_case *c);
void engine_check_prefix(engine *e); /* receipts below the watermark are the oracle's, whatever happens above */
void engine_check_end(engine *e);

/* recorded.c: the record of a block that is done tells what the slots count and what can have happened; what it says was read
 * and written is what it said of the case before, however that was scheduled. */
void engine_check_record(engine *e);

/* reference.c: the same block through shm/core/sequential.c; false if it cannot play this case (faults). */
bool reference_check(engine *e, const block_case *c);

#endif
