#include "lines.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE = 64, WORDS = SIM_CORES_MAX / 64, HOT_MAX = 16 };
#define NOBODY UINT16_MAX

typedef struct line {
    uint64_t busy_until;
    uint64_t sharers[WORDS];
    uint32_t generation; /* of the reset it was last touched after */
    uint16_t owner;
} line;

static struct {
    const uint8_t *base, *hot, *hot_end;
    uint64_t bytes, mapped;
    line *lines;
    uint32_t generation;
    uint64_t hot_ns[HOT_MAX];
} directory;

void sim_lines_reset(const void *base, uint64_t bytes, const void *hot, const void *hot_end) {
    uint64_t wanted = (bytes / LINE + 1) * sizeof(line);
    if (wanted > directory.mapped) {
        if (directory.lines) munmap(directory.lines, directory.mapped);
        directory.lines = mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert(directory.lines != MAP_FAILED);
        directory.mapped = wanted;
        directory.generation = 0;
    }
    directory.base = base;
    directory.bytes = bytes;
    directory.hot = hot;
    directory.hot_end = hot_end;
    assert((uint64_t)(directory.hot_end - directory.hot) <= HOT_MAX * LINE);
    directory.generation++;
    memset(directory.hot_ns, 0, sizeof directory.hot_ns);
}

/* NULL: memory of one worker alone. */
static line *line_of(const void *at) {
    uint64_t offset = (uint64_t)((const uint8_t *)at - directory.base);
    if ((const uint8_t *)at < directory.base || offset >= directory.bytes) return NULL;
    line *l = &directory.lines[offset / LINE];
    if (l->generation != directory.generation) {
        memset(l, 0, sizeof *l);
        l->generation = directory.generation;
        l->owner = NOBODY;
    }
    return l;
}

static bool is_hot(const void *at) { return (const uint8_t *)at >= directory.hot && (const uint8_t *)at < directory.hot_end; }

static bool has(const line *l, uint32_t core) { return l->sharers[core / 64] >> (core % 64) & 1; }

/* Bringing a line that no core has yet is in what an execution's own work was measured as, on one core. */
static bool is_nobodys(const line *l) {
    for (int i = 0; i < WORDS; i++)
        if (l->sharers[i]) return false;
    return l->owner == NOBODY;
}

static void moved(line *l, const void *at, uint64_t now, uint64_t took) {
    l->busy_until = now + took;
    if (is_hot(at)) directory.hot_ns[((const uint8_t *)at - directory.hot) / LINE] += took;
}

uint64_t sim_line_free(const void *at, uint32_t core, uint64_t now, bool exclusively) {
    const line *l = line_of(at);
    if (!l || l->busy_until <= now || l->owner == core) return now;
    if (!exclusively && (has(l, core) || l->owner == NOBODY)) return now;
    return l->busy_until;
}

uint64_t sim_line_load(const void *at, uint32_t core, uint64_t now, const sim_costs *costs) {
    line *l = line_of(at);
    if (!l || has(l, core)) return SIM_HIT;
    uint64_t took = is_nobodys(l) ? 0 : is_hot(at) ? costs->line : costs->line * SIM_OVERLAP / 100;
    if (l->owner != NOBODY) {
        moved(l, at, now, took);
        l->owner = NOBODY;
    } else if (l->busy_until > now + took) {
        took = l->busy_until - now; /* comes with the transfer that is on its way */
    }
    l->sharers[core / 64] |= UINT64_C(1) << (core % 64);
    return took + SIM_HIT;
}

uint64_t sim_line_own(const void *at, uint32_t core, uint64_t now, const sim_costs *costs) {
    line *l = line_of(at);
    if (!l || l->owner == core) return 0;
    uint64_t took = is_nobodys(l) ? 0 : costs->line;
    moved(l, at, now, took ? took + SIM_HOLD : 0);
    memset(l->sharers, 0, sizeof l->sharers);
    l->sharers[core / 64] |= UINT64_C(1) << (core % 64);
    l->owner = (uint16_t)core;
    return took;
}

uint64_t sim_lines_moving(void) {
    uint64_t sum = 0;
    for (int i = 0; i < HOT_MAX; i++) sum += directory.hot_ns[i];
    return sum;
}
