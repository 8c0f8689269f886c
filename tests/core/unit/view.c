#include "program.h"
#include "unit.h"
#include "view_inside.h"

/* A view at transaction 4 of a block whose other transactions are written by hand. */
typedef struct scene {
    fixture f;
    ioi_worker w;
    ioi_view *v;
} scene;

static void open_scene(scene *s) {
    fixture_block(&s->f, 6, 1, 8 << 20);
    ioi_worker_init(&s->w, &s->f.arena, 0);
    ioi_worker_enter(&s->w);
    s->v = ioi_view_new(&s->w);
    s->v->limits = (ioi_limits){16, 64, 8, 200, 3, 1 << 20, {0}};
    ioi_view_begin(s->v, 4);
}

static void close_scene(scene *s) {
    ioi_view_free(s->v);
    ioi_worker_free(&s->w);
    fixture_free(&s->f);
}

static void write_at(scene *s, uint32_t position, const char *key, const char *value) {
    ioi_put put = {intern(&s->f, &s->f.alloc, key), (const uint8_t *)value, value ? (uint32_t)strlen(value) : 0, false};
    ioi_write write;
    bool wrote_new;
    CHECK(ioi_mv_publish(&s->f.alloc, s->w.slot, position, 0, &put, 1, NULL, &write, &wrote_new));
}

static void base(scene *s, const char *key, const char *value) {
    CHECK(ioi_mv_set_base(&s->f.alloc, intern(&s->f, &s->f.alloc, key), (const uint8_t *)value,
                          value ? (uint32_t)strlen(value) : 0));
}

static ioi_key key(scene *s, const char *name) {
    ioi_key k;
    CHECK(ioi_view_key(s->v, (const uint8_t *)name, strlen(name), &k) == IOI_OK);
    return k;
}

static bool gets(scene *s, const char *name, const char *expected) {
    const uint8_t *value;
    size_t len;
    int r = ioi_view_get(s->v, key(s, name), &value, &len);
    return expected ? r == IOI_OK && len == strlen(expected) && memcmp(value, expected, len) == 0 : r == IOI_ABSENT;
}

static int put(scene *s, const char *name, const char *value) {
    return ioi_view_put(s->v, key(s, name), (const uint8_t *)value, value ? strlen(value) : 0);
}

static void pinning(void) {
    scene s;
    open_scene(&s);
    const uint8_t *value;
    size_t len;
    CHECK(ioi_view_get(s.v, key(&s, "a"), &value, &len) == IOI_STOP && s.v->stop == IOI_STOP_BASE);
    CHECK(s.v->missing == intern(&s.f, &s.f.alloc, "a"));
    base(&s, "a", "base");
    base(&s, "b", NULL);
    CHECK(gets(&s, "a", "base") && gets(&s, "b", NULL));
    write_at(&s, 2, "a", "new");
    write_at(&s, 2, "b", "new");
    CHECK(gets(&s, "a", "base") && gets(&s, "b", NULL)); /* pinned */
    CHECK(ioi_view_exists(s.v, key(&s, "b")) == IOI_ABSENT);
    CHECK(put(&s, "a", "own") == IOI_OK && gets(&s, "a", "own"));
    CHECK(ioi_view_get_below(s.v, key(&s, "a"), &value, &len) == IOI_OK && len == 4);
    CHECK(put(&s, "a", NULL) == IOI_OK && gets(&s, "a", NULL) && ioi_view_exists(s.v, key(&s, "a")) == IOI_ABSENT);
    ioi_view_begin(s.v, 4); /* the next incarnation sees what stands now */
    CHECK(gets(&s, "a", "new") && ioi_view_exists(s.v, key(&s, "b")) == IOI_OK);
    write_at(&s, 3, "b", NULL);
    CHECK(ioi_view_exists(s.v, key(&s, "b")) == IOI_OK &&
          gets(&s, "b", "new")); /* by presence first, then by value: the one pinned */
    write_at(&s, 6, "c", "above");
    base(&s, "c", "c");
    CHECK(gets(&s, "c", "c"));
    close_scene(&s);
}

static void checkpoints(void) {
    scene s;
    open_scene(&s);
    const char *names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) base(&s, names[i], "0");
    uint64_t outer, inner, third, fourth;
    CHECK(put(&s, "a", "1") == IOI_OK && ioi_view_mark(s.v, &outer) == IOI_OK && ioi_view_innermost(s.v, outer));
    CHECK(put(&s, "a", "2") == IOI_OK && put(&s, "b", "2") == IOI_OK);
    CHECK(ioi_view_mark(s.v, &inner) == IOI_OK && !ioi_view_innermost(s.v, outer));
    CHECK(put(&s, "a", NULL) == IOI_OK && put(&s, "c", "3") == IOI_OK);
    CHECK(ioi_view_close(s.v, inner, true) == IOI_OK && gets(&s, "a", "2") && gets(&s, "b", "2") && gets(&s, "c", "0"));
    CHECK(ioi_view_mark(s.v, &inner) == IOI_OK && put(&s, "c", "4") == IOI_OK && ioi_view_close(s.v, inner, false) == IOI_OK);
    CHECK(gets(&s, "c", "4"));
    CHECK(ioi_view_close(s.v, outer, true) == IOI_OK && gets(&s, "a", "1") && gets(&s, "b", "0") && gets(&s, "c", "0"));
    CHECK(ioi_view_mark(s.v, &outer) == IOI_OK && ioi_view_mark(s.v, &inner) == IOI_OK && ioi_view_mark(s.v, &third) == IOI_OK);
    CHECK(ioi_view_mark(s.v, &fourth) == IOI_LIMIT && s.v->limit == IOI_LIMIT_CHECKPOINT_DEPTH);
    CHECK(put(&s, "b", "5") == IOI_OK && ioi_view_close(s.v, outer, true) == IOI_OK &&
          gets(&s, "b", "0")); /* those inside it too */
    CHECK(put(&s, "b", "6") == IOI_OK && ioi_view_close(s.v, inner, true) == IOI_OK && gets(&s, "b", "6")); /* already closed */
    close_scene(&s);
}

static void limits(void) {
    scene s;
    open_scene(&s);
    char big[80];
    memset(big, 'x', sizeof big);
    CHECK(ioi_view_put(s.v, key(&s, "k"), (const uint8_t *)big, 64) == IOI_OK);
    CHECK(ioi_view_put(s.v, key(&s, "k"), (const uint8_t *)big, 65) == IOI_LIMIT && s.v->limit == IOI_LIMIT_VALUE_BYTES);
    CHECK(put(&s, "sixteen bytes ok", "") == IOI_OK && put(&s, "seventeen bytes no", "") == IOI_LIMIT);
    CHECK(s.v->limit == IOI_LIMIT_KEY_BYTES && put(&s, "", "v") == IOI_LIMIT);
    ioi_view_begin(s.v, 4);
    uint64_t mark;
    CHECK(ioi_view_mark(s.v, &mark) == IOI_OK);
    for (char name[2] = "a"; name[0] < 'a' + 8; name[0]++) CHECK(put(&s, name, "v") == IOI_OK);
    CHECK(put(&s, "i", "v") == IOI_LIMIT && s.v->limit == IOI_LIMIT_TX_KEYS && put(&s, "a", "w") == IOI_OK);
    CHECK(ioi_view_close(s.v, mark, true) == IOI_OK && put(&s, "i", "v") == IOI_OK); /* what was undone counts no more */
    CHECK(ioi_view_put(s.v, key(&s, "p"), (const uint8_t *)big, 64) == IOI_OK &&
          ioi_view_put(s.v, key(&s, "q"), (const uint8_t *)big, 64) == IOI_OK);
    CHECK(ioi_view_put(s.v, key(&s, "r"), (const uint8_t *)big, 64) == IOI_OK); /* 2 + 3 * 65 = 197 of 200 */
    CHECK(put(&s, "s", "123") == IOI_LIMIT && s.v->limit == IOI_LIMIT_TX_WRITE_BYTES && put(&s, "s", "12") == IOI_OK);
    CHECK(put(&s, "r", "") == IOI_OK && put(&s, "t", "123") == IOI_OK); /* an overwritten value counts as it stands */
    close_scene(&s);
}

/* What a scan saw stays: keys and gaps alike, as far as it looked and no further. */
static void ranges(void) {
    scene s;
    open_scene(&s);
    uint32_t range;
    const uint8_t *b = (const uint8_t *)"b", *x = (const uint8_t *)"x";
    CHECK(ioi_view_range_open(s.v, b, 1, x, 1, false, &range) == IOI_OK);
    base(&s, "c", "0");
    write_at(&s, 1, "c", "1");
    CHECK(gets(&s, "c", "1"));
    CHECK(ioi_view_range_reached(s.v, range, (const uint8_t *)"m", 1) == IOI_OK);
    const char *names[] = {"a", "b", "d", "m", "n", "x"};
    for (int i = 0; i < 6; i++) {
        base(&s, names[i], NULL);
        write_at(&s, 2, names[i], "2");
    }
    CHECK(gets(&s, "c", "1") && gets(&s, "b", NULL) && gets(&s, "d", NULL) && gets(&s, "m", NULL)); /* pinned absent */
    CHECK(gets(&s, "a", "2") && gets(&s, "n", "2") && gets(&s, "x", "2"));                          /* not looked at */
    CHECK(ioi_view_range_reached(s.v, range, NULL, 0) == IOI_OK);
    write_at(&s, 2, "w", "2");
    CHECK(gets(&s, "w", NULL) && gets(&s, "n", "2"));

    ioi_view_begin(s.v, 4);
    CHECK(ioi_view_range_open(s.v, NULL, 0, x, 1, true, &range) == IOI_OK); /* downwards */
    CHECK(ioi_view_range_reached(s.v, range, (const uint8_t *)"u", 1) == IOI_OK);
    base(&s, "v", NULL), base(&s, "t", NULL), base(&s, "z", NULL);
    write_at(&s, 3, "v", "3"), write_at(&s, 3, "t", "3"), write_at(&s, 3, "z", "3");
    CHECK(gets(&s, "v", NULL) && gets(&s, "t", "3") && gets(&s, "z", "3"));

    /* Own writes as they stand, undone ones left out. */
    ioi_view_begin(s.v, 4);
    uint64_t mark;
    CHECK(put(&s, "o", "1") == IOI_OK && ioi_view_mark(s.v, &mark) == IOI_OK && put(&s, "o", "2") == IOI_OK &&
          put(&s, "p", "1") == IOI_OK);
    CHECK(put(&s, "q", NULL) == IOI_OK && ioi_view_close(s.v, mark, true) == IOI_OK && put(&s, "r", NULL) == IOI_OK);
    uint32_t standing = 0;
    const ioi_entry *entry;
    const uint8_t *value;
    size_t len;
    for (uint32_t i = 0; ioi_view_own(s.v, i, &entry, &value, &len); i++) {
        if (!entry) continue;
        standing++;
        if (entry->key[0] == 'o') CHECK(len == 1 && value[0] == '1');
        else CHECK(entry->key[0] == 'r' && !value);
    }
    CHECK(standing == 2);
    close_scene(&s);
}

/* A transaction that goes round on stale reads is stopped. */
static void staleness(void) {
    scene s;
    open_scene(&s);
    base(&s, "a", "0");
    CHECK(gets(&s, "a", "0"));
    for (int i = 0; i < 100000; i++) CHECK(gets(&s, "a", "0")); /* nothing stale: may take as long as it likes */
    write_at(&s, 2, "a", "1");
    int turns = 0;
    ioi_key k = 0;
    const uint8_t *value;
    size_t len;
    do {
        CHECK(++turns < 100000);
    } while (ioi_view_key(s.v, (const uint8_t *)"a", 1, &k) != IOI_STOP && ioi_view_get(s.v, k, &value, &len) != IOI_STOP);
    CHECK(s.v->stop == IOI_STOP_STALE);
    close_scene(&s);
}

typedef struct bringer {
    scene *s;
    uint32_t asked;
    bool refuses;
} bringer;

static bool bring(ioi_view *view, ioi_entry *entry) {
    bringer *b = view->bringing;
    b->asked++;
    if (b->refuses) return false;
    CHECK(ioi_mv_fetched(&b->s->f.alloc, b->s->w.slot, entry, (const uint8_t *)"brought", 7));
    return true;
}

/* What is missing is brought on the spot, once; a key that is only written is not asked for. */
static void bringing(void) {
    scene s;
    open_scene(&s);
    bringer b = {&s, 0, false};
    s.v->bring = bring;
    s.v->bringing = &b;
    CHECK(gets(&s, "a", "brought") && gets(&s, "a", "brought") && b.asked == 1);
    CHECK(put(&s, "blind", "x") == IOI_OK && gets(&s, "blind", "x") && b.asked == 1);
    base(&s, "known", "base");
    CHECK(gets(&s, "known", "base") && b.asked == 1);
    b.refuses = true;
    const uint8_t *value;
    size_t len;
    CHECK(ioi_view_get(s.v, key(&s, "b"), &value, &len) == IOI_STOP && s.v->stop == IOI_STOP_BASE && b.asked == 2);
    close_scene(&s);
}

static uint32_t noted(const ioi_outcome *outcome) {
    scene s;
    open_scene(&s);
    ioi_view_begin(s.v, 6); /* end_block: nobody claims it */
    CHECK(ioi_view_finish(s.v, outcome, false));
    const a32 *incarnations = ioi_at(&s.f.arena, s.f.arena.shared->block.incarnations);
    const ioi_incarnation *inc = ioi_deref(&s.f.arena, a32_load(&incarnations[6]));
    const ioi_receipt *r = ioi_incarnation_receipt(&s.f.arena, inc);
    CHECK(r->code == outcome->code && r->gas_wanted == outcome->gas_wanted && r->gas_used == outcome->gas_used);
    CHECK(r->output_len == outcome->output_len && r->error_len == outcome->error_len);
    CHECK(!r->output_len || memcmp(ioi_deref(&s.f.arena, r->output), outcome->output, r->output_len) == 0);
    CHECK(!r->error_len || memcmp(ioi_deref(&s.f.arena, r->error), outcome->error, r->error_len) == 0);
    ioi_ref more = inc->more;
    close_scene(&s);
    return more;
}

/* Plain success takes no room; whatever else there is, is noted. */
static void receipts(void) {
    CHECK(noted(&(ioi_outcome){.code = 0}) == 0);
    CHECK(noted(&(ioi_outcome){.code = 7}) && noted(&(ioi_outcome){.gas_wanted = 1}) && noted(&(ioi_outcome){.gas_used = 1}));
    CHECK(noted(&(ioi_outcome){.output = (const uint8_t *)"out", .output_len = 3}));
    CHECK(noted(&(ioi_outcome){.code = 1, .error = "why", .error_len = 3}));
}

static void add_at(scene *s, uint32_t position, const char *key, int64_t delta) {
    ioi_field f = {0, 8, 8};
    ioi_u128 added = (ioi_u128)(__int128)delta;
    bool full, wrote_new;
    ioi_put put = {intern(&s->f, &s->f.alloc, key), (const uint8_t *)&added, sizeof added, true};
    CHECK(ioi_mv_counter(&s->f.alloc, put.entry, &f, &full));
    ioi_write write;
    CHECK(ioi_mv_publish(&s->f.alloc, s->w.slot, position, 0, &put, 1, NULL, &write, &wrote_new));
}

static int add(scene *s, const char *name, int64_t delta, uint64_t most, ioi_field field) {
    ioi_addition a = {field, delta < 0, (ioi_u128)(delta < 0 ? -delta : delta), 0, most};
    size_t found;
    return ioi_view_add(s->v, key(s, name), &a, &found);
}

static bool counts(scene *s, const char *name, uint8_t expected) {
    const uint8_t *value;
    size_t len;
    return ioi_view_get(s->v, key(s, name), &value, &len) == IOI_OK && len == 8 && value[7] == expected && value[6] == 0;
}

/* However often a value is added to, or read where it was, it takes no more memory. */
static void counters_take_room_once(void) {
    const ioi_field wide = {0, 8, 4096};
    static const uint8_t zero[4096];
    const uint8_t *value;
    size_t len;
    scene s;
    open_scene(&s);
    s.v->limits.value_bytes = sizeof zero;
    s.v->limits.tx_write_bytes = 3 * sizeof zero;
    base(&s, "read", NULL);
    base(&s, "written", NULL);
    ioi_view_begin(s.v, 4);
    CHECK(add(&s, "read", 1, 99, wide) == IOI_OK && ioi_view_put(s.v, key(&s, "written"), zero, sizeof zero) == IOI_OK);
    for (int i = 0; i < 20; i++) {
        CHECK(ioi_view_get(s.v, key(&s, "read"), &value, &len) == IOI_OK && len == 4096 && value[7] == 1);
        CHECK(add(&s, "written", 1, 99, wide) == IOI_OK);
    }
    CHECK(ioi_view_get(s.v, key(&s, "written"), &value, &len) == IOI_OK && value[7] == 20);
    CHECK(s.v->store->blocks && !s.v->store->blocks->next);
    close_scene(&s);
}

/* Adds are of what is below, whoever adds there later, as long as they would have gone the same way. */
static void counters(void) {
    const ioi_field first = {0, 8, 8}, other = {6, 2, 8};
    scene s;
    open_scene(&s);
    CHECK(add(&s, "a", 1, 9, first) == IOI_STOP && s.v->stop == IOI_STOP_BASE);
    CHECK(ioi_mv_set_base(&s.f.alloc, intern(&s.f, &s.f.alloc, "a"), (const uint8_t *)"\0\0\0\0\0\0\0\5", 8));
    base(&s, "none", NULL);
    base(&s, "short", "abc");
    ioi_view_begin(s.v, 4);
    add_at(&s, 2, "a", 3);
    CHECK(add(&s, "a", 2, 10, first) == IOI_OK && add(&s, "a", 1, 10, first) == IOI_REFUSED && counts(&s, "a", 10));
    CHECK(add(&s, "none", 0, 9, first) == IOI_OK && counts(&s, "none", 0));
    CHECK(add(&s, "short", 0, 9, first) == IOI_LENGTH);

    /* Undone, and on top of what this transaction wrote. */
    uint64_t mark;
    ioi_view_begin(s.v, 4);
    CHECK(add(&s, "a", 1, 99, first) == IOI_OK && ioi_view_mark(s.v, &mark) == IOI_OK && add(&s, "a", 1, 99, first) == IOI_OK);
    CHECK(add(&s, "a", 4, 99, other) == IOI_OK && ioi_view_close(s.v, mark, true) == IOI_OK && counts(&s, "a", 9));
    CHECK(put(&s, "a", "12345678") == IOI_OK && add(&s, "a", 1, UINT64_MAX, first) == IOI_OK && gets(&s, "a", "12345679"));

    /* end_block, which nobody claims: 8 less 8. */
    ioi_view_begin(s.v, 6);
    CHECK(add(&s, "a", -9, 99, first) == IOI_REFUSED && add(&s, "a", -8, 99, first) == IOI_OK);
    ioi_outcome outcome = {0};
    CHECK(ioi_view_finish(s.v, &outcome, false));
    const a32 *incarnations = ioi_at(&s.f.arena, s.f.arena.shared->block.incarnations);
    const ioi_incarnation *inc = ioi_deref(&s.f.arena, a32_load(&incarnations[6]));
    ioi_cause cause;
    CHECK(ioi_mv_validate(&s.f.alloc, inc, 7, false, s.w.scratch, &cause));
    add_at(&s, 5, "a", 0);
    CHECK(ioi_mv_validate(&s.f.alloc, inc, 7, true, s.w.scratch, &cause));
    add_at(&s, 4, "a", 1); /* from 9 on the first would have been done */
    CHECK(!ioi_mv_validate(&s.f.alloc, inc, 7, false, s.w.scratch, &cause) && cause.position == 5);
    add_at(&s, 3, "a", -1);
    CHECK(ioi_mv_validate(&s.f.alloc, inc, 7, false, s.w.scratch, &cause));
    write_at(&s, 1, "a", "another length");
    CHECK(ioi_mv_validate(&s.f.alloc, inc, 3, false, s.w.scratch, &cause) == false);
    close_scene(&s);
}

/* What an inner checkpoint kept is put back with the one around it, to what it was there. */
static void kept_and_undone(void) {
    scene s;
    open_scene(&s);
    base(&s, "a", "base");
    uint64_t outer, middle, inner;
    CHECK(ioi_view_mark(s.v, &outer) == IOI_OK && ioi_view_mark(s.v, &middle) == IOI_OK && put(&s, "a", "1") == IOI_OK);
    CHECK(ioi_view_emit(s.v, (const uint8_t *)"event", 5) == IOI_OK && ioi_view_close(s.v, middle, false) == IOI_OK);
    CHECK(put(&s, "a", "2") == IOI_OK && ioi_view_close(s.v, outer, true) == IOI_OK);
    CHECK(gets(&s, "a", "base") && s.v->store->events.len == 0);

    CHECK(ioi_view_mark(s.v, &outer) == IOI_OK && put(&s, "a", "in outer") == IOI_OK && ioi_view_mark(s.v, &middle) == IOI_OK);
    CHECK(ioi_view_mark(s.v, &inner) == IOI_OK && put(&s, "a", "in inner") == IOI_OK);
    CHECK(ioi_view_close(s.v, inner, false) == IOI_OK && put(&s, "a", "in middle") == IOI_OK);
    CHECK(ioi_view_close(s.v, middle, true) == IOI_OK && gets(&s, "a", "in outer"));
    CHECK(ioi_view_close(s.v, outer, true) == IOI_OK && gets(&s, "a", "base"));

    /* Two at once: the outer of them had noted it. */
    CHECK(ioi_view_mark(s.v, &outer) == IOI_OK && put(&s, "b", NULL) == IOI_OK && put(&s, "a", "1") == IOI_OK);
    CHECK(ioi_view_mark(s.v, &middle) == IOI_OK && put(&s, "a", "2") == IOI_OK && ioi_view_mark(s.v, &inner) == IOI_OK);
    CHECK(put(&s, "a", "3") == IOI_OK && ioi_view_close(s.v, middle, false) == IOI_OK && put(&s, "a", "4") == IOI_OK);
    CHECK(ioi_view_close(s.v, outer, true) == IOI_OK && gets(&s, "a", "base"));
    close_scene(&s);
}

static size_t room_of(const struct ioi_view_store *s) {
    size_t size = 0;
    for (const bytes_block *b = s->blocks; b; b = b->next) size += b->size;
    return size;
}

/* What may have to be put back is bounded by the keys, their values and how deep checkpoints are nested, however often what is written. */
static void what_is_replaced_is_bounded(void) {
    scene s;
    open_scene(&s);
    char value[65] = {0};
    uint64_t marks[3], depth = 0, rng = 7;
    for (uint32_t i = 0; i < 100000; i++) {
        if (i == 1000) {
            ioi_view_hold(s.v);
            depth = 0;
        }
        char name[2] = {(char)('a' + rng_below(&rng, 3)), 0};
        memset(value, 'v', sizeof value - 1);
        value[1 + rng_below(&rng, 64)] = 0;
        switch (rng_below(&rng, 6)) {
        case 0:
            if (depth < (i < 1000 ? 1 : 2)) CHECK(ioi_view_mark(s.v, &marks[depth++]) == IOI_OK);
            break;
        case 1:
            if (depth) {
                depth -= 1 + rng_below(&rng, depth);
                CHECK(ioi_view_close(s.v, marks[depth], rng_chance(&rng, 50)) == IOI_OK);
            }
            break;
        case 2: CHECK(put(&s, name, NULL) == IOI_OK); break;
        case 3:
            if (s.v->store->events.len < 1000) CHECK(ioi_view_emit(s.v, (const uint8_t *)"event", 5) == IOI_OK);
            break;
        default: CHECK(put(&s, name, value) == IOI_OK && gets(&s, name, value));
        }
        CHECK(s.v->store->undos_count <= 4 * 5);
    }
    CHECK(room_of(s.v->store) <= 2 * 16384);
    close_scene(&s);
}

void test_view(void) {
    kept_and_undone();
    what_is_replaced_is_bounded();
    bringing();
    pinning();
    checkpoints();
    limits();
    ranges();
    staleness();
    receipts();
    counters();
    counters_take_room_once();
}
