#include "unit.h"

/* Leaves by hand: proto3, CometBFT's deterministic ExecTxResult. */
static void leaf_is(uint32_t code, const char *output, uint64_t wanted, uint64_t used, const char *expected, size_t len) {
    uint8_t packed[256], out[256];
    uint32_t head[4] = {code, (uint32_t)strlen(output), 3, 0};
    uint64_t gas[2] = {wanted, used};
    memcpy(packed, head, sizeof head);
    memcpy(packed + sizeof head, gas, sizeof gas);
    memcpy(packed + IOI_RECEIPT_HEAD, output, head[1]);
    memcpy(packed + IOI_RECEIPT_HEAD + head[1], "why", 3); /* no part of the leaf */
    CHECK(ioi_receipt_leaf(packed, NULL) == len);
    CHECK(ioi_receipt_leaf(packed, out) == len);
    CHECK(memcmp(out, expected, len) == 0);
    CHECK(len <= IOI_LEAF_HEAD + strlen(output));
}

void test_receipts(void) {
    leaf_is(0, "", 0, 0, "", 0);
    leaf_is(1, "", 0, 0, "\x08\x01", 2);
    leaf_is(300, "abc", 0, 0,
            "\x08\xac\x02\x12\x03"
            "abc",
            8);
    leaf_is(0, "", 1, 0, "\x28\x01", 2);
    leaf_is(0, "", 0, 128, "\x30\x80\x01", 3);
    leaf_is(UINT32_MAX, "x", UINT64_MAX, UINT64_MAX,
            "\x08\xff\xff\xff\xff\x0f\x12\x01x\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x30\xff\xff\xff\xff\xff\xff\xff\xff"
            "\xff\x01",
            31);

    /* Packing: a block whose incarnations are made by hand. */
    uint64_t state = unit_seed, *rng = &state;
    enum { N = 200 };
    fixture f;
    fixture_block(&f, N, 1, 8 << 20);
    a32 *incarnations = ioi_at(&f.arena, f.arena.shared->block.incarnations);
    for (uint32_t i = 0; i < N; i++) {
        ioi_incarnation *inc = ioi_alloc_bytes(&f.alloc, sizeof *inc, 8);
        ioi_more *more = ioi_alloc_bytes(&f.alloc, sizeof *more, 8);
        memset(inc, 0, sizeof *inc);
        memset(more, 0, sizeof *more);
        if (i) inc->more = ioi_ref_of(&f.arena, more); /* the first has nothing but success */
        ioi_receipt *r = &more->receipt;
        if (i)
            *r = (ioi_receipt){.code = rng_below(rng, 3),
                               .output_len = rng_below(rng, 50),
                               .error_len = rng_below(rng, 20),
                               .gas_wanted = i,
                               .gas_used = 2 * i};
        uint8_t *bytes = ioi_alloc_bytes(&f.alloc, 160, 8);
        uint32_t error_at = (r->output_len + 7) & ~7u;
        for (uint32_t k = 0; k < r->output_len; k++) bytes[k] = (uint8_t)(i + k);
        for (uint32_t k = 0; k < r->error_len; k++) bytes[error_at + k] = (uint8_t)(i + r->output_len + k);
        r->output = ioi_ref_of(&f.arena, bytes);
        r->error = ioi_ref_of(&f.arena, bytes + error_at);
        if (!r->output_len) r->output = 0; /* nothing needs no address */
        if (!r->error_len) r->error = 0;
        a32_store(&incarnations[i], ioi_ref_of(&f.arena, inc));
    }
    for (int turn = 0; turn < 100; turn++) {
        uint32_t from = rng_below(rng, N + 1), to = from + rng_below(rng, N + 1 - from);
        uint64_t size = ioi_receipts_size(&f.arena, from, to), ends[N + 1], at = 0;
        uint8_t *packed = malloc(size + 1);
        packed[size] = 0xa5;
        ioi_receipts_pack(&f.arena, from, to, packed, ends);
        CHECK(packed[size] == 0xa5);
        for (uint32_t i = from; i < to; i++) {
            const ioi_receipt *r = ioi_incarnation_receipt(&f.arena, ioi_deref(&f.arena, a32_load(&incarnations[i])));
            uint32_t head[4];
            uint64_t gas[2];
            memcpy(head, packed + at, sizeof head);
            memcpy(gas, packed + at + 16, sizeof gas);
            CHECK(head[0] == r->code && head[1] == r->output_len && head[2] == r->error_len && head[3] == 0);
            CHECK(gas[0] == i && gas[1] == 2 * i);
            for (uint32_t k = 0; k < head[1] + head[2]; k++) CHECK(packed[at + IOI_RECEIPT_HEAD + k] == (uint8_t)(i + k));
            at += IOI_RECEIPT_HEAD + head[1] + head[2];
            CHECK(ends[i - from] == at);
        }
        CHECK(at == size);
        free(packed);
    }
    fixture_free(&f);
}
