#include "sim_block.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/parse.h"
#include "../../native/program.h"
#include "sequential.h"
#include "vm.h"

sim_bytes sim_block_base(const sim_block *b, const uint8_t *key, size_t len) {
    size_t low = 0, high = b->base_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const sim_bytes *k = &b->keys[middle];
        int order = memcmp(key, k->at, len < k->len ? len : k->len);
        if (order == 0) order = (len > k->len) - (len < k->len);
        if (order == 0) return b->values[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return (sim_bytes){NULL, 0};
}

bool sim_block_scans(const sim_block *b) {
    for (uint32_t tx = 0; tx < b->n; tx++) {
        sim_bytes t = sim_block_tx(b, tx);
        program_bytes body;
        if (program_check(t.at, t.len, &body) == PROGRAM_SCANS) return true;
    }
    return false;
}

uint64_t sim_digest(uint64_t kind, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len) {
    uint64_t h = UINT64_C(14695981039346656037) ^ kind * UINT64_C(0x9e3779b97f4a7c15) ^ a_len << 32 ^ b_len;
    for (size_t i = 0; i < a_len; i++) h = (h ^ a[i]) * UINT64_C(1099511628211);
    for (size_t i = 0; i < b_len; i++) h = (h ^ b[i]) * UINT64_C(1099511628211);
    return h ^ h >> 29;
}

/* ---- the reference -------------------------------------------------------------------------------------------------- */

/* Keys are known by their handles in ioi_seq, which count from 0. */
typedef struct reference {
    sim_block *b;
    ioi_seq *seq;
    ioi_vm vm;
    sim_notes notes;
    uint32_t *writers; /* by key: who wrote it last; IOI_FROM_BASE: nobody */
    size_t writers_count;
    uint32_t *numbers; /* reads, their writers, and writes of one transaction after another */
    size_t numbers_count, numbers_capacity;
} reference;

static reference *noting; /* one at a time: the VM's functions have no context */

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    (void)vm;
    return sim_vm_note(&noting->notes, tx, len, state, ctx, outcome);
}

static void bring(reference *r) {
    const uint8_t *key;
    size_t len;
    ioi_seq_sort_missing(r->seq);
    for (size_t i = 0; ioi_seq_missing(r->seq, i, &key, &len); i++) {
        sim_bytes value = sim_block_base(r->b, key, len);
        ioi_seq_set_base(r->seq, key, len, value.at, value.len);
    }
}

static uint32_t *writer_of(reference *r, ioi_key key) {
    if (key >= r->writers_count) {
        size_t count = 2 * (size_t)key + 64;
        r->writers = realloc(r->writers, count * sizeof *r->writers);
        assert(r->writers);
        for (size_t i = r->writers_count; i < count; i++) r->writers[i] = IOI_FROM_BASE;
        r->writers_count = count;
    }
    if (key >= r->b->distinct) r->b->distinct = (uint32_t)key + 1;
    return &r->writers[key];
}

static void number(reference *r, uint32_t x) {
    if (r->numbers_count == r->numbers_capacity) {
        r->numbers_capacity = r->numbers_capacity ? 2 * r->numbers_capacity : 4096;
        r->numbers = realloc(r->numbers, r->numbers_capacity * sizeof *r->numbers);
        assert(r->numbers);
    }
    r->numbers[r->numbers_count++] = x;
}

static uint32_t distinct(ioi_key *keys, size_t count) {
    uint32_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t j = 0;
        while (j < kept && keys[j] != keys[i]) j++;
        if (j == kept) keys[kept++] = keys[i];
    }
    return kept;
}

static void keep(reference *r, uint32_t tx) {
    sim_notes *x = &r->notes;
    uint32_t reads = distinct(x->reads, x->reads_count), writes = distinct(x->writes, x->writes_count);
    for (uint32_t i = 0; i < reads; i++) number(r, (uint32_t)x->reads[i]);
    for (uint32_t i = 0; i < reads; i++) number(r, *writer_of(r, x->reads[i]));
    for (uint32_t i = 0; i < writes; i++) number(r, (uint32_t)x->writes[i]);
    for (uint32_t i = 0; i < writes; i++) *writer_of(r, x->writes[i]) = tx;
    r->b->txs[tx] = (ioi_sim_tx){.cost_ns = x->cost_ns, .reads_count = reads, .writes_count = writes};
}

uint64_t sim_receipt_digest(uint32_t tx, const ioi_outcome *o) {
    uint8_t head[IOI_ERROR_BYTES + 64];
    size_t output = o->output_len < sizeof head ? o->output_len : sizeof head;
    if (output) memcpy(head, o->output, output);
    return sim_digest(tx, head, output, (const uint8_t *)&o->code, sizeof o->code);
}

void sim_block_reference(sim_block *b, void (*write)(void *context, sim_bytes key, sim_bytes value), void *context) {
    reference r = {.b = b, .vm = ioi_program};
    r.vm.execute = execute;
    noting = &r;
    ioi_ctx ctx = {0};
    r.seq = ioi_seq_new(&r.vm, &b->limits, &ctx);
    sim_vm_oversleep(b->oversleep_ns);
    b->digest = 0;
    b->distinct = 0;
    b->txs = calloc(b->n + 1, sizeof *b->txs);
    assert(b->txs);
    for (uint32_t tx = 0; tx < b->n; tx++) {
        sim_bytes bytes = sim_block_tx(b, tx);
        ioi_seq_hint(r.seq, tx, bytes.at, bytes.len);
        bring(&r);
        ioi_outcome outcome;
        while (!ioi_seq_execute(r.seq, bytes.at, bytes.len, &outcome)) bring(&r);
        keep(&r, tx);
        b->digest += sim_receipt_digest(tx, &outcome);
    }
    b->numbers = r.numbers;
    const uint32_t *at = r.numbers;
    for (uint32_t tx = 0; tx < b->n; tx++) {
        ioi_sim_tx *t = &b->txs[tx];
        t->reads = at;
        t->reads_from = at + t->reads_count;
        t->writes = at + 2 * t->reads_count;
        at += 2 * t->reads_count + t->writes_count;
    }
    sim_bytes key, value;
    ioi_seq_sort_writes(r.seq);
    for (size_t i = 0; ioi_seq_write(r.seq, i, &key.at, &key.len, &value.at, &value.len); i++) {
        b->digest += sim_digest(b->n + (value.at != NULL), key.at, key.len, value.at, value.at ? value.len : 0);
        write(context, key, value);
    }
    b->adds = r.notes.adds;
    sim_notes_free(&r.notes);
    free(r.writers);
    ioi_seq_free(r.seq);
}

void sim_block_free(sim_block *b) {
    free(b->ends);
    free(b->bytes);
    free(b->keys);
    free(b->values);
    free(b->txs);
    free(b->numbers);
}
