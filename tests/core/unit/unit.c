#include "unit.h"

#include <pthread.h>
#include <sys/mman.h>

uint64_t unit_seed = 1;

void fixture_arena(fixture *f, uint64_t room) {
    f->size = IOI_BLOCK_AT + room;
    f->base = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(f->base != MAP_FAILED);
    uint64_t seed[4];
    for (int i = 0; i < 4; i++) seed[i] = mix64(unit_seed + (uint64_t)i);
    ioi_arena_init(&f->arena, f->base, f->size, f->size, seed);
    ioi_alloc_init(&f->alloc, &f->arena);
}

void fixture_block_of(fixture *f, const ioi_block_input *input, uint64_t room) {
    fixture_arena(f, room);
    uint64_t *ends;
    uint8_t *bytes;
    CHECK(ioi_block_begin(&f->arena, input, &ends, &bytes));
    memset(ends, 0, (input->n + 1) * sizeof *ends);
    ioi_block_start(&f->arena);
    ioi_alloc_init(&f->alloc, &f->arena);
}

void fixture_block(fixture *f, uint32_t n, uint32_t workers, uint64_t room) {
    ioi_block_input input = {.n = n, .workers = workers, .keys = 1};
    fixture_block_of(f, &input, room);
}

void fixture_free(fixture *f) { munmap(f->base, f->size); }

ioi_entry *intern(fixture *f, ioi_alloc *alloc, const char *key) {
    uint32_t len = (uint32_t)strlen(key);
    ioi_entry *e = ioi_index_intern(alloc, ioi_hash(f->arena.shared->seed, (const uint8_t *)key, len), (const uint8_t *)key, len);
    CHECK(e);
    return e;
}

typedef struct thread_start {
    void (*run)(void *, uint32_t);
    void *context;
    uint32_t thread;
} thread_start;

static void *thread_main(void *context) {
    thread_start *s = context;
    s->run(s->context, s->thread);
    return NULL;
}

void on_threads(uint32_t count, void (*run)(void *, uint32_t), void *context) {
    pthread_t threads[16];
    thread_start starts[16];
    CHECK(count <= 16);
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = (thread_start){run, context, i};
        CHECK(pthread_create(&threads[i], NULL, thread_main, &starts[i]) == 0);
    }
    for (uint32_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*test)(void);
    } tests[] = {
        {"arena", test_arena},
        {"index", test_index},
        {"versions", test_versions},
        {"ordered", test_ordered},
        {"mvmemory", test_mvmemory},
        {"scheduler", test_scheduler},
        {"view", test_view},
        {"receipts", test_receipts},
        {"seal", test_seal},
        {"cache", test_cache},
        {"sequential", test_sequential},
        {"native", test_native},
        {"gas", test_gas},
        {"sums", test_sums},
    };
    if (argc == 3 && strcmp(argv[1], "--seed") == 0) unit_seed = strtoull(argv[2], NULL, 0);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        tests[i].test();
        printf("unit: %s ok\n", tests[i].name);
    }
    return 0;
}
