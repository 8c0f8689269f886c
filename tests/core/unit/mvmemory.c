#include "unit.h"

/* One transaction's published incarnation, made by hand. */
typedef struct finished {
    ioi_incarnation *inc;
    bool wrote_new;
} finished;

static finished publish(fixture *f, uint32_t position, uint32_t incarnation, const ioi_incarnation *previous, const ioi_put *puts,
                        uint32_t count) {
    ioi_incarnation *inc = ioi_alloc_bytes(&f->alloc, sizeof *inc + count * sizeof(ioi_write), 8);
    memset(inc, 0, sizeof *inc);
    inc->incarnation = incarnation;
    inc->writes_count = count;
    finished done = {.inc = inc};
    CHECK(ioi_mv_publish(&f->alloc, &f->arena.shared->slots[0], position, incarnation, puts, count, previous,
                         ioi_incarnation_writes(inc), &done.wrote_new));
    return done;
}

static ioi_put put(ioi_entry *e, const char *value) {
    return (ioi_put){e, (const uint8_t *)value, value ? (uint32_t)strlen(value) : 0, false};
}

static ioi_seen look(fixture *f, ioi_entry *e, uint32_t position, uint64_t *word, uint32_t *writer) {
    return ioi_mv_read(&f->alloc, e, position, word, writer);
}

static bool shows(fixture *f, ioi_entry *e, uint32_t position, const char *value) {
    uint64_t word;
    uint32_t writer;
    ioi_seen seen = look(f, e, position, &word, &writer);
    if (seen != IOI_SEEN_VERSION && seen != IOI_SEEN_BASE) return false;
    if (!value) return !ioi_word_present(word);
    const ioi_record *r = ioi_word_record(&f->arena, word);
    return ioi_word_present(word) && r->len == strlen(value) && memcmp(r->bytes, value, r->len) == 0;
}

static void publish_and_withdraw(void) {
    fixture f;
    fixture_block(&f, 8, 1, 4 << 20);
    ioi_entry *a = intern(&f, &f.alloc, "a"), *b = intern(&f, &f.alloc, "b");
    uint64_t word;
    uint32_t writer = 99;
    CHECK(look(&f, a, 5, &word, &writer) == IOI_SEEN_NOTHING);
    CHECK(ioi_mv_set_base(&f.alloc, a, (const uint8_t *)"base", 4) && shows(&f, a, 5, "base"));
    CHECK(ioi_mv_set_base(&f.alloc, a, (const uint8_t *)"other", 5) && shows(&f, a, 5, "base")); /* the first to come */
    CHECK(ioi_mv_set_base(&f.alloc, b, NULL, 0) && shows(&f, b, 5, NULL));

    ioi_put first[] = {put(a, "one"), put(b, "two")};
    finished x = publish(&f, 3, 0, NULL, first, 2);
    CHECK(x.wrote_new && shows(&f, a, 3, "base") && shows(&f, a, 4, "one") && shows(&f, b, 9, "two"));
    CHECK(look(&f, a, 4, &word, &writer) == IOI_SEEN_VERSION && writer == 3);

    ioi_mv_estimate(&f.alloc, x.inc);
    CHECK(look(&f, a, 4, &word, &writer) == IOI_SEEN_ESTIMATE && writer == 3);
    CHECK(look(&f, a, 3, &word, &writer) == IOI_SEEN_BASE);

    ioi_put second[] = {put(b, NULL)}; /* b deleted, a not written any more */
    finished y = publish(&f, 3, 1, x.inc, second, 1);
    CHECK(!y.wrote_new && shows(&f, a, 4, "base") && shows(&f, b, 4, NULL));
    CHECK(look(&f, b, 4, &word, &writer) == IOI_SEEN_VERSION); /* a deletion is a version */

    ioi_mv_estimate(&f.alloc, y.inc);
    ioi_put third[] = {put(a, "three")}; /* back to a, which counts as new: nobody met an ESTIMATE there */
    finished z = publish(&f, 3, 2, y.inc, third, 1);
    CHECK(z.wrote_new && shows(&f, a, 4, "three") && look(&f, b, 4, &word, &writer) == IOI_SEEN_BASE);
    ioi_mv_estimate(&f.alloc, z.inc);
    publish(&f, 3, 3, z.inc, NULL, 0); /* a failed incarnation writes nothing */
    CHECK(look(&f, a, 8, &word, &writer) == IOI_SEEN_BASE && look(&f, b, 8, &word, &writer) == IOI_SEEN_BASE);
    fixture_free(&f);
}

static bool stands(fixture *f, ioi_entry *e, bool presence, uint64_t seen, uint32_t position) {
    ioi_read read = {ioi_ref_of(&f->arena, e) | (presence ? IOI_PRESENCE : 0), ioi_seen_record(seen)};
    return ioi_mv_read_stands(&f->alloc, &read, position, false);
}

static bool same_version(fixture *f, ioi_entry *e, bool presence, uint64_t seen, uint32_t position) {
    ioi_read read = {ioi_ref_of(&f->arena, e) | (presence ? IOI_PRESENCE : 0), ioi_seen_record(seen)};
    return ioi_mv_read_stands(&f->alloc, &read, position, true);
}

static void validation(void) {
    fixture f;
    fixture_block(&f, 8, 1, 4 << 20);
    ioi_entry *e = intern(&f, &f.alloc, "e");
    uint64_t base, same, other, deleted, word;
    uint32_t writer;
    CHECK(ioi_mv_set_base(&f.alloc, e, (const uint8_t *)"v", 1));
    look(&f, e, 6, &base, &writer);
    CHECK(stands(&f, e, false, base, 6) && stands(&f, e, true, base, 6));
    ioi_put puts[] = {put(e, "v")};
    finished x = publish(&f, 2, 0, NULL, puts, 1);
    look(&f, e, 6, &same, &writer);
    CHECK(same != base && stands(&f, e, false, base, 6)); /* another version, an equal value */
    CHECK(!same_version(&f, e, false, base, 6) && !same_version(&f, e, true, base, 6) && same_version(&f, e, false, same, 6));
    ioi_mv_estimate(&f.alloc, x.inc);
    CHECK(!stands(&f, e, false, same, 6) && !stands(&f, e, true, same, 6) && !stands(&f, e, false, base, 6));
    CHECK(stands(&f, e, false, base, 2)); /* the writer itself looks below itself */
    puts[0] = put(e, "w");
    finished y = publish(&f, 2, 1, x.inc, puts, 1);
    look(&f, e, 6, &other, &writer);
    CHECK(!stands(&f, e, false, base, 6) && stands(&f, e, true, base, 6)); /* presence alone still holds */
    CHECK(stands(&f, e, false, other, 6));
    ioi_mv_estimate(&f.alloc, y.inc);
    puts[0] = put(e, "wx"); /* longer, the same beginning */
    finished z = publish(&f, 2, 2, y.inc, puts, 1);
    CHECK(!stands(&f, e, false, other, 6));
    ioi_mv_estimate(&f.alloc, z.inc);
    puts[0] = put(e, NULL);
    finished d = publish(&f, 2, 3, z.inc, puts, 1);
    look(&f, e, 6, &deleted, &writer);
    CHECK(!stands(&f, e, false, base, 6) && !stands(&f, e, true, base, 6) && stands(&f, e, false, deleted, 6));
    /* Absence is a value: deleted here, never there. */
    ioi_entry *never = intern(&f, &f.alloc, "never");
    CHECK(!stands(&f, never, false, deleted, 6)); /* its base was not read yet */
    CHECK(ioi_mv_set_base(&f.alloc, never, NULL, 0));
    CHECK(look(&f, never, 6, &word, &writer) == IOI_SEEN_BASE && !ioi_word_present(word));
    puts[0] = put(never, NULL);
    publish(&f, 4, 0, NULL, puts, 1);
    CHECK(stands(&f, never, false, word, 6) && stands(&f, never, true, word, 6));
    ioi_mv_estimate(&f.alloc, d.inc);
    publish(&f, 2, 4, d.inc, NULL, 0);
    CHECK(stands(&f, e, false, base, 6)); /* withdrawn: the base shows again, the same word */
    fixture_free(&f);
}

static ioi_ref scanned(fixture *f, const ioi_range *range) {
    ioi_more *more = ioi_alloc_bytes(&f->alloc, sizeof *more, 8);
    *more = (ioi_more){.ranges_count = 1, .ranges = ioi_ref_of(&f->arena, range)};
    return ioi_ref_of(&f->arena, more);
}

static bool range_stands_by(bool by_version, fixture *f, ioi_entry_set *set, const char *low, const char *high, bool inclusive,
                            uint32_t position, ioi_entry *seen) {
    uint64_t memory[32] = {0};
    ioi_incarnation *inc = (ioi_incarnation *)memory;
    ioi_range *range = ioi_alloc_bytes(&f->alloc, sizeof *range, 8);
    *range = (ioi_range){.low_len = IOI_UNBOUNDED, .high_len = IOI_UNBOUNDED, .high_inclusive = inclusive};
    const char *bounds[2] = {low, high};
    for (int i = 0; i < 2; i++) {
        if (!bounds[i]) continue;
        uint8_t *copy = ioi_alloc_bytes(&f->alloc, strlen(bounds[i]) + 1, 8);
        memcpy(copy, bounds[i], strlen(bounds[i]));
        *(i ? &range->high_len : &range->low_len) = (uint32_t)strlen(bounds[i]);
        *(i ? &range->high : &range->low) = ioi_ref_of(&f->arena, copy);
    }
    inc->more = scanned(f, range);
    if (seen) {
        uint64_t word;
        uint32_t writer;
        look(f, seen, position, &word, &writer);
        inc->reads_count = 1;
        inc->reads[0] = (ioi_read){ioi_ref_of(&f->arena, seen), ioi_seen_record(word)};
    }
    return ioi_mv_validate(&f->alloc, inc, position, by_version, set, NULL);
}

static bool range_stands(fixture *f, ioi_entry_set *set, const char *low, const char *high, bool inclusive, uint32_t position,
                         ioi_entry *seen) {
    return range_stands_by(false, f, set, low, high, inclusive, position, seen);
}

static void phantoms(void) {
    fixture f;
    fixture_block(&f, 8, 1, 4 << 20);
    ioi_entry_set *set = ioi_entry_set_new();
    ioi_entry *m = intern(&f, &f.alloc, "m");
    CHECK(ioi_ordered_switch_on(&f.alloc));
    CHECK(range_stands(&f, set, NULL, NULL, false, 5, NULL));
    ioi_put puts[] = {put(m, "v")};
    finished x = publish(&f, 3, 0, NULL, puts, 1);
    CHECK(!range_stands(&f, set, NULL, NULL, false, 5, NULL) && !range_stands(&f, set, "a", "z", false, 5, NULL));
    CHECK(!range_stands(&f, set, "m", "n", false, 5, NULL) && !range_stands(&f, set, "a", "m", true, 5, NULL));
    CHECK(range_stands(&f, set, "a", "m", false, 5, NULL) && range_stands(&f, set, "ma", NULL, false, 5, NULL)); /* beside it */
    CHECK(range_stands(&f, set, NULL, NULL, false, 3, NULL));                                                    /* above */
    CHECK(range_stands(&f, set, "a", "z", false, 5, m)); /* seen: it is a read */
    ioi_mv_estimate(&f.alloc, x.inc);
    CHECK(!range_stands(&f, set, "a", "z", false, 5, NULL)); /* an ESTIMATE is no absence */
    publish(&f, 3, 1, x.inc, NULL, 0);
    CHECK(range_stands(&f, set, "a", "z", false, 5, NULL)); /* withdrawn */
    CHECK(range_stands_by(true, &f, set, "a", "z", false, 5, NULL));
    puts[0] = put(m, NULL);
    publish(&f, 3, 2, NULL, puts, 1);
    CHECK(range_stands(&f, set, "a", "z", false, 5, NULL)); /* deleted: absent, but by another version */
    CHECK(!range_stands_by(true, &f, set, "a", "z", false, 5, NULL) && range_stands_by(true, &f, set, "a", "z", false, 5, m));
    ioi_entry_set_free(set);
    fixture_free(&f);
}

static void causes(void) {
    fixture f;
    fixture_block(&f, 8, 1, 4 << 20);
    ioi_entry_set *set = ioi_entry_set_new();
    ioi_entry *a = intern(&f, &f.alloc, "a"), *b = intern(&f, &f.alloc, "b");
    uint64_t memory[32] = {0};
    ioi_incarnation *inc = (ioi_incarnation *)memory;
    uint64_t word;
    uint32_t writer;
    inc->reads_count = 2;
    ioi_entry *read[] = {a, b};
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(ioi_mv_set_base(&f.alloc, read[i], (const uint8_t *)"v", 1));
        look(&f, read[i], 6, &word, &writer);
        inc->reads[i] = (ioi_read){ioi_ref_of(&f.arena, read[i]), ioi_seen_record(word)};
    }
    ioi_cause cause = {.position = 77};
    CHECK(ioi_mv_validate(&f.alloc, inc, 6, false, set, &cause) && cause.position == 77); /* it stands: nothing to blame */
    ioi_put puts[] = {put(b, "w")};
    finished x = publish(&f, 3, 1, NULL, puts, 1);
    CHECK(!ioi_mv_validate(&f.alloc, inc, 6, false, set, &cause));
    CHECK(cause.entry == ioi_offset(&f.arena, b) && cause.position == 3 && cause.incarnation == 1 && !cause.estimate);
    ioi_mv_estimate(&f.alloc, x.inc);
    CHECK(!ioi_mv_validate(&f.alloc, inc, 6, false, set, &cause) && cause.position == 3 && cause.incarnation == 1 &&
          cause.estimate);
    look(&f, b, 6, &word, &writer); /* what x wrote was read, and then is withdrawn */
    inc->reads[1].record = ioi_seen_record(word & ~IOI_ESTIMATE);
    publish(&f, 3, 2, x.inc, NULL, 0);
    CHECK(!ioi_mv_validate(&f.alloc, inc, 6, false, set, &cause));
    CHECK(cause.entry == ioi_offset(&f.arena, b) && cause.position == 0 && cause.incarnation == 0 && !cause.estimate);

    CHECK(ioi_ordered_switch_on(&f.alloc)); /* a phantom */
    inc->reads_count = 0;
    ioi_range *range = ioi_alloc_bytes(&f.alloc, sizeof *range, 8);
    *range = (ioi_range){.low_len = IOI_UNBOUNDED, .high_len = IOI_UNBOUNDED};
    inc->more = scanned(&f, range);
    puts[0] = put(a, "x");
    publish(&f, 2, 4, NULL, puts, 1);
    CHECK(!ioi_mv_validate(&f.alloc, inc, 6, false, set, &cause));
    CHECK(cause.entry == ioi_offset(&f.arena, a) && cause.position == 2 && cause.incarnation == 4 && !cause.estimate);
    ioi_entry_set_free(set);
    fixture_free(&f);
}

typedef struct sealed {
    uint32_t count;
    const char *key[8];
    uint64_t word[8];
} sealed;

static void emit(void *context, const ioi_entry *e, uint64_t word) {
    sealed *s = context;
    s->key[s->count] = (const char *)e->key;
    s->word[s->count++] = word;
}

static void sealing(void) {
    fixture f;
    fixture_block(&f, 8, 2, 4 << 20);
    CHECK(ioi_block_overlay(&f.alloc, (const uint8_t *)"under", 5, (const uint8_t *)"u", 1)); /* no write of the block */
    ioi_entry *a = intern(&f, &f.alloc, "a"), *b = intern(&f, &f.alloc, "b"), *c = intern(&f, &f.alloc, "c");
    ioi_put puts[] = {put(a, "1"), put(b, "1"), put(c, "1")};
    finished x = publish(&f, 1, 0, NULL, puts, 3);
    puts[0] = put(a, "2");
    puts[1] = put(b, NULL);
    publish(&f, 9, 0, NULL, puts, 2); /* end_block's position */
    ioi_mv_estimate(&f.alloc, x.inc);
    puts[0] = put(b, "1");
    publish(&f, 1, 1, x.inc, puts, 1); /* c withdrawn */
    sealed s = {0};
    ioi_mv_seal(&f.arena, 2, emit, &s);
    CHECK(s.count == 2);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(*s.key[i] == 'a' || *s.key[i] == 'b');
        CHECK(ioi_word_present(s.word[i]) == (*s.key[i] == 'a'));
    }
    CHECK(*s.key[0] != *s.key[1]);
    fixture_free(&f);
}

void test_mvmemory(void) {
    publish_and_withdraw();
    validation();
    phantoms();
    causes();
    sealing();
}
