#include "unit.h"

enum { PIECES = 4096 };

typedef struct piece {
    uint8_t *at;
    uint64_t len;
    uint8_t mark;
} piece;

/* Fill an arena from two allocators in turn; every byte handed out once, aligned, inside what is reserved, and the last
 * crumbs are used too. */
static void fill(uint64_t room, uint64_t *rng, uint32_t longest) {
    fixture f;
    fixture_arena(&f, room);
    ioi_alloc allocs[2];
    for (int i = 0; i < 2; i++) ioi_alloc_init(&allocs[i], &f.arena);
    static piece pieces[PIECES];
    uint32_t count = 0;
    while (count < PIECES) {
        uint64_t len = rng_chance(rng, 3) ? rng_below(rng, 3 * IOI_CHUNK) : 1 + rng_below(rng, longest);
        uint64_t align = UINT64_C(1) << rng_below(rng, 7);
        ioi_alloc *alloc = &allocs[rng_below(rng, 2)];
        uint8_t *at = ioi_alloc_bytes(alloc, len, align);
        uint64_t left = a64_load(&f.arena.shared->reserved) - a64_load(&f.arena.shared->bump);
        CHECK(a64_load(&f.arena.shared->bump) <= a64_load(&f.arena.shared->reserved));
        if (!at) {
            CHECK(left < len + IOI_LINE); /* refused only what did not fit */
            if (len <= longest) break;
            continue;
        }
        CHECK(((uint64_t)(at - f.base) & (align - 1)) == 0);
        CHECK(at >= f.base + IOI_BLOCK_AT && at + len <= f.base + f.size);
        if (rng_chance(rng, 10)) { /* given back: the same place again */
            ioi_alloc_undo(alloc, at, len);
            bool own_piece = len + IOI_LINE >= IOI_CHUNK / 4;
            uint8_t *again = ioi_alloc_bytes(alloc, len, align);
            if (!again) break;
            CHECK(own_piece || again == at);
            at = again;
        }
        uint8_t mark = (uint8_t)rng_next(rng);
        memset(at, mark, len);
        pieces[count++] = (piece){at, len, mark};
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint64_t b = 0; b < pieces[i].len; b++) CHECK(pieces[i].at[b] == pieces[i].mark);
    fixture_free(&f);
}

static void undo_is_of_the_newest_only(void) {
    fixture f;
    fixture_arena(&f, 1 << 20);
    uint8_t *a = ioi_alloc_bytes(&f.alloc, 100, 8), *b = ioi_alloc_bytes(&f.alloc, 100, 8);
    ioi_alloc_undo(&f.alloc, a, 100);
    CHECK(ioi_alloc_bytes(&f.alloc, 8, 8) >= (void *)(b + 100));
    CHECK(ioi_alloc_bytes(&f.alloc, UINT64_MAX - 4096, 8) == NULL);
    CHECK(ioi_alloc_bytes(&f.alloc, UINT64_MAX / 2, 8) == NULL);
    CHECK(ioi_alloc_bytes(&f.alloc, 8, 8) != NULL);
    fixture_free(&f);
}

static void attach(void) {
    fixture f;
    fixture_arena(&f, 1 << 16);
    ioi_arena other;
    CHECK(ioi_arena_attach(&other, f.base, f.size) && other.shared == f.arena.shared);
    CHECK(!ioi_arena_attach(&other, f.base, f.size - 1));
    CHECK(!ioi_arena_attach(&other, f.base, IOI_BLOCK_AT - 1));
    f.arena.shared->magic ^= 1;
    CHECK(!ioi_arena_attach(&other, f.base, f.size));
    f.arena.shared->magic ^= 1;
    f.arena.shared->layout ^= 1;
    CHECK(!ioi_arena_attach(&other, f.base, f.size));
    f.arena.shared->layout ^= 1;
    f.arena.shared->size = IOI_ARENA_MAX + 4096; /* further than links reach */
    CHECK(!ioi_arena_attach(&other, f.base, IOI_ARENA_MAX + 4096));
    fixture_free(&f);
}

/* At the end of the largest arena there is, links still name what they should; then it is full. */
static void far_links(void) {
    enum { KEYS = 20000, ROOM = 1 << 19 };
    fixture f;
    fixture_block(&f, KEYS, 1, IOI_ARENA_MAX - IOI_BLOCK_AT);
    a64_store(&f.arena.shared->bump, IOI_ARENA_MAX - ROOM);
    ioi_alloc_init(&f.alloc, &f.arena);
    CHECK(ioi_ordered_switch_on(&f.alloc));
    ioi_entry *entries[KEYS];
    uint32_t count = 0;
    for (bool room = true; room; count += room) {
        CHECK(count < KEYS);
        ioi_entry *e = entries[count] = ioi_index_intern(&f.alloc, ioi_hash(f.arena.shared->seed, (uint8_t *)&count, 4),
                                                         (uint8_t *)&count, 4);
        ioi_put put = {e, (const uint8_t *)&count, 4, false};
        ioi_write write;
        bool wrote_new;
        room = e && ioi_mv_set_base(&f.alloc, e, (const uint8_t *)"base", 4) &&
               ioi_mv_publish(&f.alloc, &f.arena.shared->slots[0], 1 + count, 0, &put, 1, NULL, &write, &wrote_new);
    }
    CHECK(count > ROOM / 256);
    uint32_t met = 0;
    for (ioi_entry *e = ioi_ordered_forward(&f.arena, NULL, 0, false); e; e = ioi_ordered_next(&f.arena, e)) met++;
    CHECK(met == count || met == count + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word;
        uint32_t writer;
        CHECK(ioi_mv_read(&f.alloc, entries[i], KEYS, &word, &writer) == IOI_SEEN_VERSION && writer == 1 + i);
        const ioi_record *record = ioi_word_record(&f.arena, ioi_seen_word(&f.arena, ioi_seen_record(word)));
        CHECK(record->len == 4 && memcmp(record->bytes, &i, 4) == 0 && ioi_offset(&f.arena, record) > IOI_ARENA_MAX - ROOM);
    }
    fixture_free(&f);
}

/* A block fits in the room that is promised to suffice, and is refused, not overrun, in any less. */
static void block_room(uint64_t *rng) {
    for (int i = 0; i < 60; i++) {
        ioi_block_input input = {
            .n = rng_below(rng, 9000), .workers = 1 + i % 2, .tx_bytes = rng_below(rng, 50000), .keys = rng_below(rng, 5000)};
        uint64_t room = ioi_block_room(&input) - IOI_BLOCK_AT;
        fixture f;
        fixture_arena(&f, room);
        uint64_t *ends;
        uint8_t *bytes;
        CHECK(ioi_block_begin(&f.arena, &input, &ends, &bytes));
        for (int k = 0; k < 40; k++) {
            a64_store(&f.arena.shared->reserved, IOI_BLOCK_AT + rng_next(rng) % (room + 1));
            ioi_block_begin(&f.arena, &input, &ends, &bytes);
            CHECK(a64_load(&f.arena.shared->bump) <= a64_load(&f.arena.shared->reserved));
        }
        fixture_free(&f);
    }
}

void test_arena(void) {
    uint64_t state = unit_seed, *rng = &state;
    for (uint64_t room = 0; room < 5 * 4096; room += 64) fill(room, rng, 200);
    for (int i = 0; i < 60; i++) fill(rng_below(rng, 1 << 20), rng, 1 + rng_below(rng, 3000));
    undo_is_of_the_newest_only();
    attach();
    far_links();
    block_room(rng);
}
