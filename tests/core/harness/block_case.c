#include "block_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_keys(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len) {
    for (uint32_t i = 0; i < a_len && i < b_len; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return a_len < b_len ? -1 : a_len > b_len;
}

/* Few letters and all lengths: many keys are prefixes of others. The zero byte sits right behind its prefix. */
static void generate_keys(block_case *c, uint64_t *rng) {
    bool collide = rng_chance(rng, 15); /* keys below 8 bytes all get one hash (index.h: chains) */
    for (int i = 0; i < 4; i++) c->hash_seed[i] = rng_next(rng);
    if (collide) c->hash_seed[3] = 0;
    uint32_t longest = collide ? 7 : 1 + rng_below(rng, KEY_LEN_MAX);
    if (longest < 7) longest = 7;
    static const uint8_t letters[] = {0, 'a', 'b', 0xff};
    for (uint32_t have = 0; have < c->keys;) {
        uint8_t key[KEY_LEN_MAX];
        uint32_t len = 1 + rng_below(rng, longest), at = 0;
        for (uint32_t i = 0; i < len; i++) key[i] = letters[rng_below(rng, 4)];
        while (at < have && compare_keys(c->key_bytes[at], c->key_len[at], key, len) < 0) at++;
        if (at < have && compare_keys(c->key_bytes[at], c->key_len[at], key, len) == 0) continue;
        for (uint32_t i = have; i > at; i--) {
            memcpy(c->key_bytes[i], c->key_bytes[i - 1], KEY_LEN_MAX);
            c->key_len[i] = c->key_len[i - 1];
        }
        memcpy(c->key_bytes[at], key, len);
        c->key_len[at] = len;
        have++;
    }
}

static case_value random_value(uint64_t *rng, uint32_t present_percent) {
    case_value v = {rng_chance(rng, present_percent), 0, NULL};
    if (!v.present) return v;
    v.len = rng_chance(rng, 50) ? 8 : rng_below(rng, BASE_VALUE_MAX);
    v.bytes = calloc(1, v.len + 1);
    if (v.len) v.bytes[0] = (uint8_t)rng_below(rng, 2); /* FLAG_FEW writes the same */
    if (rng_chance(rng, 30))
        for (uint32_t i = 0; i < v.len; i++) v.bytes[i] = (uint8_t)rng_next(rng);
    return v;
}

block_case *block_case_new(uint64_t seed, const case_sizes *sizes) {
    uint64_t state = seed, *rng = &state;
    block_case *c = calloc(1, sizeof *c);
    c->seed = seed;
    c->keys = 2 + rng_below(rng, rng_chance(rng, 60) && sizes->keys > 6 ? 5 : sizes->keys - 1);
    c->n = rng_chance(rng, 3) ? rng_below(rng, 3) : 1 + rng_below(rng, sizes->n);
    c->scans = rng_chance(rng, sizes->scan_percent);
    c->faults = rng_chance(rng, sizes->fault_percent);
    c->hints = rng_chance(rng, 40);
    c->end_block = rng_chance(rng, 40);
    generate_keys(c, rng);
    c->limits = (ioi_limits){KEY_LEN_MAX, VALUE_MAX, KEYS_MAX, 1 << 30, MARKS_MAX, 1 << 20, {0}};
    if (rng_chance(rng, 20))
        c->limits = (ioi_limits){4 + rng_below(rng, KEY_LEN_MAX),
                                 8 + rng_below(rng, 60),
                                 1 + rng_below(rng, 4),
                                 20 + rng_below(rng, 200),
                                 rng_below(rng, MARKS_MAX),
                                 rng_below(rng, 2 * OUTPUT_MAX),
                                 {0}};
    uint32_t present = rng_below(rng, 101), overlays = rng_chance(rng, 30) ? rng_below(rng, 60) : 0;
    for (uint32_t k = 0; k < c->keys; k++) {
        c->base[k] = random_value(rng, present);
        c->has_overlay[k] = rng_chance(rng, overlays);
        if (c->has_overlay[k]) c->overlay[k] = random_value(rng, 60);
    }
    uint64_t costs = mix64(seed); /* apart: other cases stay what they were */
    if (!c->faults && rng_chance(&costs, 30)) {
        ioi_gas *g = &c->limits.gas;
        uint64_t *cost[] = {&g->flat, &g->get, &g->put, &g->remove, &g->scan, &g->read_byte, &g->written_byte, &g->emit};
        for (size_t i = 0; i < sizeof cost / sizeof *cost; i++) *cost[i] = rng_below(&costs, 4) * (1 + rng_below(&costs, 10));
        g->on = true;
        g->most = 40 + rng_below(&costs, rng_chance(&costs, 50) ? 400 : 1 << 20);
    }
    c->ante = !c->faults && rng_chance(&costs, 40);
    program_profile profile = profile_random(rng, c->keys, c->scans, c->faults);
    profile.antes = c->ante ? 70 : 0;
    if (rng_chance(&costs, sizes->counting_percent)) profile_counting(&costs, &profile);
    c->txs = malloc((size_t)(c->n + 1) * PROGRAM_BYTES_MAX + 1);
    c->ends = malloc((c->n + 1) * sizeof *c->ends);
    c->outcomes = calloc(c->n + 1, sizeof *c->outcomes);
    c->events = calloc(c->n + 1, sizeof *c->events);
    uint64_t at = 0;
    for (uint32_t tx = 0; tx <= c->n; tx++) c->ends[tx] = at += program_generate(rng, &profile, c->txs + at);
    oracle_run(c);
    return c;
}

void block_case_free(block_case *c) {
    for (uint32_t k = 0; k < c->keys; k++) {
        free(c->base[k].bytes);
        free(c->overlay[k].bytes);
        free(c->final[k].bytes);
    }
    free(c->txs);
    free(c->ends);
    free(c->outcomes);
    for (uint32_t tx = 0; tx <= c->n; tx++) ioi_bytes_free(&c->events[tx]);
    free(c->events);
    free(c);
}

const uint8_t *block_case_tx(const block_case *c, uint32_t tx, size_t *len) {
    uint64_t from = tx ? c->ends[tx - 1] : 0;
    *len = c->ends[tx] - from;
    return c->txs + from;
}

uint64_t block_case_salt(const block_case *c, uint32_t tx, uint32_t (*code)(void *, uint32_t), void *context) {
    if (tx < c->n) return tx;
    uint64_t salt = tx;
    for (uint32_t i = 0; i < c->n; i++) salt = mix64(salt ^ code(context, i));
    return salt;
}

uint32_t block_case_rank(const block_case *c, const uint8_t *key, uint32_t len) {
    for (uint32_t k = 0; k < c->keys; k++)
        if (c->key_len[k] == len && memcmp(c->key_bytes[k], key, len) == 0) return k;
    fprintf(stderr, "a key of %u bytes that no program wrote\n", len);
    abort();
}

bool case_tail_is(const block_case *c, uint32_t tx, const uint8_t *tail, size_t len) {
    ioi_bytes expected = {0};
    if (c->outcomes[tx].refused) ioi_tail_add(&expected, IOI_TAIL_REFUSED, NULL, 0);
    if (c->events[tx].len) ioi_tail_add(&expected, IOI_TAIL_EVENTS, c->events[tx].at, c->events[tx].len);
    bool same = expected.len == len && (len == 0 || memcmp(expected.at, tail, len) == 0);
    ioi_bytes_free(&expected);
    return same;
}
