#include "vm.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/cost.h"
#include "../../native/program.h"
#include "machine.h"

static uint64_t spent, oversleep;

void sim_vm_oversleep(uint64_t ns) { oversleep = ns; }

/* In the place of native/cost.c. */
void program_burn(uint64_t ns) {
    spent += ns;
    sim_machine_work(ns);
}

void program_sleep(uint64_t ns) { program_burn(ns + oversleep); }

/* ---- notes --------------------------------------------------------------------------------------------------------- */

typedef struct noting {
    ioi_state state; /* first */
    ioi_state *inner;
    sim_notes *notes;
    size_t marks[64], depth; /* writes when each checkpoint was opened */
} noting;

static void add(ioi_key **keys, size_t *count, size_t *capacity, ioi_key key) {
    if (*count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 16;
        *keys = realloc(*keys, *capacity * sizeof **keys);
        assert(*keys);
    }
    (*keys)[(*count)++] = key;
}

static void note_read(noting *n, ioi_key key) {
    sim_notes *x = n->notes;
    for (size_t i = 0; i < x->writes_count; i++)
        if (x->writes[i] == key) return; /* its own */
    add(&x->reads, &x->reads_count, &x->reads_capacity, key);
}

static int note_write(noting *n, int result, ioi_key key) {
    if (result == IOI_OK) add(&n->notes->writes, &n->notes->writes_count, &n->notes->writes_capacity, key);
    return result;
}

#define NOTING(state) noting *n = (noting *)(state)

static int op_key(ioi_state *s, const uint8_t *bytes, size_t len, ioi_key *key) {
    NOTING(s);
    return n->inner->key(n->inner, bytes, len, key);
}

static int op_get(ioi_state *s, ioi_key key, const uint8_t **value, size_t *len) {
    NOTING(s);
    note_read(n, key);
    return n->inner->get(n->inner, key, value, len);
}

static int op_exists(ioi_state *s, ioi_key key) {
    NOTING(s);
    note_read(n, key);
    return n->inner->exists(n->inner, key);
}

static int op_put(ioi_state *s, ioi_key key, const uint8_t *value, size_t len) {
    NOTING(s);
    return note_write(n, n->inner->put(n->inner, key, value, len), key);
}

static int op_remove(ioi_state *s, ioi_key key) {
    NOTING(s);
    return note_write(n, n->inner->remove(n->inner, key), key);
}

static int op_add(ioi_state *s, ioi_key key, const ioi_addition *addition, size_t *found) {
    NOTING(s);
    n->notes->adds = true;
    return n->inner->add(n->inner, key, addition, found);
}

static int op_mark(ioi_state *s, uint64_t *mark) {
    NOTING(s);
    int result = n->inner->mark(n->inner, mark);
    if (result == IOI_OK && n->depth < sizeof n->marks / sizeof *n->marks) n->marks[n->depth++] = n->notes->writes_count;
    return result;
}

static int op_close(ioi_state *s, uint64_t mark, int undo) {
    NOTING(s);
    int result = n->inner->close(n->inner, mark, undo);
    if (result == IOI_OK && n->depth) {
        n->depth--;
        if (undo) n->notes->writes_count = n->marks[n->depth];
    }
    return result;
}

int sim_vm_note(sim_notes *notes, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    noting n = {{op_key, op_get, op_exists, op_put, op_remove, op_mark, op_close}, state, notes, {0}, 0};
    n.state.add = op_add;
    notes->reads_count = notes->writes_count = 0;
    spent = 0;
    int result = ioi_program.execute(&ioi_program, tx, len, &n.state, ctx, outcome);
    notes->cost_ns = spent;
    if (outcome->code != 0) notes->writes_count = 0;
    return result;
}

void sim_notes_free(sim_notes *notes) {
    free(notes->reads);
    free(notes->writes);
}
