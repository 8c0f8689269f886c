#include "program.h"

#include <stdio.h>
#include <string.h>

#include "ioi_vm.h"

uint64_t hash_bytes(const uint8_t *bytes, size_t len) {
    uint64_t h = mix64(len + 1);
    for (size_t i = 0; i < len; i++) h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return mix64(h);
}

/* ---- the interpreter ------------------------------------------------------------------------------------------------ */

#define NEVER_SEEN UINT64_C(0)
#define SEEN_ABSENT UINT64_C(2)
#define PRESENT_UNKNOWN UINT64_C(4) /* by `exists` alone; value hashes are odd */

typedef struct run {
    world *world;
    uint64_t acc;
    uint32_t keys;
    uint64_t seen[KEYS_MAX];
    bool wrote[KEYS_MAX];
    const op *scan;
    key_bounds bounds;
    uint32_t next_gap; /* SCAN: the first rank not yet accounted for, in the direction of the scan */
    bool any_met;
} run;

static void fold(run *r, uint64_t x) { r->acc = mix64(r->acc ^ x) + x; }

static void check_seen(run *r, const char *what, uint32_t key, uint64_t now) {
    uint64_t before = r->seen[key];
    bool differs = before != NEVER_SEEN && before != now && !(before == PRESENT_UNKNOWN && (now & 1)) &&
                   !(now == PRESENT_UNKNOWN && (before & 1));
    if (differs) r->world->opacity(r->world, what, key);
    if (now != PRESENT_UNKNOWN || before == NEVER_SEEN) r->seen[key] = now;
}

static int read_key(run *r, uint32_t key) {
    const uint8_t *value;
    size_t len;
    int status = r->world->get(r->world, key, &value, &len);
    if (status == IOI_STOP) return status;
    uint64_t now = status == IOI_ABSENT ? SEEN_ABSENT : hash_bytes(value, len) | 1;
    check_seen(r, "get", key, now);
    fold(r, now);
    return IOI_OK;
}

static void make_value(const run *r, const op *o, uint8_t *value, size_t *len) {
    uint64_t word = r->acc;
    *len = 8 + o->imm % 24;
    if (o->flags & FLAG_CONSTANT) word = o->imm;
    if (o->flags & FLAG_FEW) {
        word &= 1;
        *len = 8;
    }
    if (o->flags & FLAG_BIG) *len = o->imm % VALUE_MAX;
    if (o->flags & FLAG_EMPTY) *len = 0;
    for (size_t i = 0; i < *len; i++) value[i] = (uint8_t)((word >> (8 * (i & 7))) + (i >> 3));
}

static int write_key(run *r, const op *o, uint32_t key) {
    uint8_t value[VALUE_MAX];
    size_t len;
    make_value(r, o, value, &len);
    int status = r->world->put(r->world, key, value, len);
    if (status == IOI_OK) {
        r->seen[key] = hash_bytes(value, len) | 1;
        r->wrote[key] = true;
    }
    return status;
}

static int add_to(run *r, const op *o, uint32_t key) {
    ioi_addition a = {{0, 8, 8}, o->imm & 1, o->imm >> 1 & 3, 0, UINT64_MAX};
    if (o->flags & FLAG_CONSTANT) a.delta = o->imm >> 1 & 3;
    else a.delta = r->acc >> 11 & 7;
    if (o->flags & FLAG_LARGE) a.delta = UINT64_MAX / 3 + a.delta;
    if (o->flags & FLAG_AWAY) a.field = o->imm & 8 ? (ioi_field){3, 2, 8} : (ioi_field){5, 8, 16};
    if (o->flags & FLAG_BOUND) a.minimum = o->imm >> 4 & 3, a.maximum = o->imm >> 6 & 15;
    size_t found = 0;
    int status = r->world->add(r->world, key, &a, &found);
    if (status == IOI_STOP || status == IOI_LIMIT) return status;
    fold(r, (uint64_t)status << 32 | (status == IOI_LENGTH ? found : 0));
    if (status == IOI_LENGTH) check_seen(r, "add", key, PRESENT_UNKNOWN);
    if (status != IOI_OK) return IOI_OK;
    r->seen[key] = PRESENT_UNKNOWN;
    r->wrote[key] = true;
    return IOI_OK;
}

/* Keys passed over by a scan are absent. */
static void account_gap(run *r, uint32_t until) {
    if (r->scan->flags & FLAG_REVERSE) {
        for (uint32_t k = r->next_gap; k > until; k--)
            if (within(&r->bounds, k - 1)) check_seen(r, "scan (gap)", k - 1, SEEN_ABSENT);
    } else {
        for (uint32_t k = r->next_gap; k < until; k++)
            if (within(&r->bounds, k)) check_seen(r, "scan (gap)", k, SEEN_ABSENT);
    }
}

static int visit(void *context, uint32_t key, const uint8_t *value, size_t len) {
    run *r = context;
    const op *o = r->scan;
    bool reverse = o->flags & FLAG_REVERSE;
    if (!within(&r->bounds, key) || (r->any_met && (reverse ? key >= r->next_gap : key < r->next_gap)))
        r->world->opacity(r->world, "scan order", key);
    account_gap(r, reverse ? key + 1 : key);
    r->next_gap = reverse ? key : key + 1;
    r->any_met = true;
    uint64_t now = hash_bytes(value, len) | 1;
    check_seen(r, "scan", key, now);
    fold(r, now ^ key);
    if (o->flags & FLAG_PEEK) {
        int status = read_key(r, (key + 1 + (o->imm >> 16)) % r->keys);
        if (status == IOI_STOP) return status;
    }
    if (o->flags & FLAG_POKE) {
        op poke = {.code = OP_PUT, .flags = FLAG_FEW, .imm = o->imm};
        return write_key(r, &poke, key);
    }
    return IOI_OK;
}

static int scan(run *r, const op *o) {
    uint32_t low = 2 * (o->key % r->keys) + (o->imm & 1), high = 2 * ((o->imm >> 8) % r->keys) + (o->imm >> 1 & 1);
    r->scan = o;
    r->bounds = (key_bounds){
        low, high, o->flags & FLAG_NO_LOW, o->flags & FLAG_NO_HIGH, o->flags & FLAG_REVERSE, o->imm >> 2 & 7};
    bool reverse = o->flags & FLAG_REVERSE, complete;
    r->next_gap = reverse ? r->keys : 0;
    r->any_met = false;
    int status = r->world->scan(r->world, &r->bounds, visit, r, &complete);
    if (status != IOI_OK) return status;
    if (complete) account_gap(r, reverse ? 0 : r->keys);
    fold(r, complete);
    return IOI_OK;
}

static int emit(run *r, const op *o) {
    uint64_t told = r->acc;
    ioi_attribute attribute = {"a", IOI_BYTES, &told, o->imm % (sizeof told + 1), false};
    return r->world->emit(r->world, &attribute);
}

void program_ante(const uint8_t *bytes, size_t len, size_t *from, size_t *to) {
    op first = {.code = OP_GET};
    if (len >= sizeof first) memcpy(&first, bytes, sizeof first);
    *from = *to = 0;
    if (first.code != OP_ANTE) return;
    *from = sizeof first;
    *to = *from + first.imm * sizeof first;
}

uint64_t program_gas_limit(const uint8_t *bytes, size_t len) {
    uint64_t h = hash_bytes(bytes, len);
    return h & 3 ? UINT64_MAX : (h >> 2) % 1000;
}

int program_run(const uint8_t *bytes, size_t len, uint64_t salt, uint32_t keys, world *w, program_outcome *out) {
    run r = {.world = w, .acc = mix64(salt), .keys = keys};
    uint64_t marks[MARKS_MAX];
    uint32_t depth = 0;
    int status;
    *out = (program_outcome){.refused = out->refused};
    for (size_t at = 0; at + sizeof(op) <= len; at += sizeof(op)) {
        op o;
        memcpy(&o, bytes + at, sizeof o);
        uint32_t key = (uint32_t)((o.key + (o.flags & FLAG_DYNAMIC ? r.acc >> 7 : 0)) % keys);
        bool zero = (r.acc & o.mask) == 0;
        status = IOI_OK;
        switch ((op_code)o.code) {
        case OP_GET: status = read_key(&r, key); break;
        case OP_EXISTS:
            status = w->exists(w, key);
            if (status == IOI_STOP) break;
            check_seen(&r, "exists", key, status == IOI_ABSENT ? SEEN_ABSENT : PRESENT_UNKNOWN);
            fold(&r, (uint64_t)status);
            status = IOI_OK;
            break;
        case OP_PUT: status = write_key(&r, &o, key); break;
        case OP_REMOVE:
            status = w->remove(w, key);
            if (status == IOI_OK) {
                r.seen[key] = SEEN_ABSENT;
                r.wrote[key] = true;
            }
            break;
        case OP_BRANCH:
            if (zero) at += o.imm * sizeof(op);
            break;
        case OP_MARK:
            if (depth == MARKS_MAX) break;
            status = w->mark(w, &marks[depth]);
            if (status == IOI_OK) depth++;
            break;
        case OP_KEEP:
        case OP_UNDO:
            if (depth == 0) break;
            depth -= 1 + o.imm % depth; /* an outer one may go with those inside it */
            status = w->close(w, marks[depth], o.code == OP_UNDO);
            if (o.code == OP_UNDO) /* what was written may stand or not: look anew. What was only read must not change. */
                for (uint32_t k = 0; k < keys; k++)
                    if (r.wrote[k]) r.seen[k] = NEVER_SEEN;
            break;
        case OP_FAIL:
            if (!zero) break;
            out->code = 1 + o.imm % 5;
            out->error_len = (size_t)snprintf(out->error, sizeof out->error, "fail %u", out->code);
            break;
        case OP_FAULT: out->fault = zero; break;
        case OP_SCAN: status = scan(&r, &o); break;
        case OP_EMIT: status = emit(&r, &o); break;
        case OP_ANTE: break;
        case OP_ADD: status = add_to(&r, &o, key); break;
        case OP_SPIN:
            if (w->spin) w->spin(w, o.imm);
            status = w->charge(w, o.imm);
            break;
        }
        if (status == IOI_STOP) return IOI_STOP;
        if (status == IOI_LIMIT) {
            out->code = 9;
            out->error_len = (size_t)snprintf(out->error, sizeof out->error, "limit");
        }
        if (out->code || out->fault) break;
    }
    out->output_len = out->fault ? 0 : r.acc % OUTPUT_MAX;
    for (size_t i = 0; i < out->output_len; i++) out->output[i] = (uint8_t)(r.acc >> (8 * (i & 7)));
    out->gas_wanted = r.acc >> 32 & 3;
    out->gas_used = r.acc & 1 ? r.acc >> 8 : 0;
    return IOI_OK;
}

/* ---- the generator --------------------------------------------------------------------------------------------------- */

program_profile profile_random(uint64_t *rng, uint32_t keys, bool scans, bool faults) {
    static const uint32_t hots[] = {0, 0, 20, 60, 95};
    return (program_profile){
        .keys = keys,
        .operations = 1 + rng_below(rng, rng_chance(rng, 30) ? PROGRAM_OPS_MAX : 5),
        .hot = hots[rng_below(rng, 5)],
        .reads = 1 + rng_below(rng, 10),
        .writes = 1 + rng_below(rng, 10),
        .removes = rng_below(rng, 4),
        .branches = rng_below(rng, 4),
        .checkpoints = rng_chance(rng, 50) ? rng_below(rng, 5) : 0,
        .fails = rng_chance(rng, 50) ? rng_below(rng, 3) : 0,
        .scans = scans ? 1 + rng_below(rng, 6) : 0,
        .dynamic = rng_chance(rng, 50) ? rng_below(rng, 60) : 0,
        .few = rng_chance(rng, 50) ? rng_below(rng, 100) : 5,
        .constant = rng_below(rng, 30),
        .big = rng_chance(rng, 10) ? 10 : 0,
        .faults = faults ? 1 : 0,
        .spin = rng_chance(rng, 20) ? 2 : 0,
        .adds = rng_chance(rng, 50) ? 2 + rng_below(rng, 30) : 0,
        .emits = rng_chance(rng, 30) ? 1 + rng_below(rng, 6) : 0,
    };
}

void profile_counting(uint64_t *rng, program_profile *profile) {
    profile->hot = 60 + rng_below(rng, 40);
    profile->reads = profile->writes = 1 + rng_below(rng, 3);
    profile->adds = 20 + rng_below(rng, 40);
}

static op generate_op(uint64_t *rng, const program_profile *p) {
    uint32_t weights[] = {p->reads, p->reads / 3, p->writes, p->removes, p->branches, p->checkpoints,
                          p->fails, p->scans,     p->spin,   p->adds,    p->emits};
    uint32_t sum = 0, i = 0;
    for (uint32_t k = 0; k < sizeof weights / sizeof *weights; k++) sum += weights[k];
    uint32_t pick = rng_below(rng, sum);
    while (pick >= weights[i]) pick -= weights[i++];
    op o = {
        .key = (uint8_t)(rng_chance(rng, p->hot) ? 0 : rng_below(rng, p->keys)),
        .mask = (uint8_t)(1u << rng_below(rng, 3)),
        .flags = rng_chance(rng, p->dynamic) ? FLAG_DYNAMIC : 0,
        .imm = (uint32_t)rng_next(rng),
    };
    switch (i) {
    case 0: o.code = OP_GET; break;
    case 1: o.code = OP_EXISTS; break;
    case 2:
        o.code = OP_PUT;
        if (rng_chance(rng, p->few)) o.flags |= FLAG_FEW;
        if (rng_chance(rng, p->constant)) o.flags |= FLAG_CONSTANT;
        if (rng_chance(rng, p->big)) o.flags |= FLAG_BIG;
        if (rng_chance(rng, 4)) o.flags |= FLAG_EMPTY;
        break;
    case 3: o.code = OP_REMOVE; break;
    case 4:
        o.code = OP_BRANCH;
        o.imm = 1 + o.imm % 3;
        break;
    case 5: {
        static const uint8_t codes[] = {OP_MARK, OP_MARK, OP_KEEP, OP_UNDO};
        o.code = codes[rng_below(rng, 4)];
        o.imm = rng_chance(rng, 80) ? 0 : o.imm;
        break;
    }
    case 6:
        o.code = OP_FAIL;
        o.mask = 7;
        break;
    case 7:
        o.code = OP_SCAN;
        o.flags = (uint8_t)(rng_below(rng, 16) & ~FLAG_DYNAMIC);
        if (rng_chance(rng, 20)) o.flags |= FLAG_PEEK;
        if (rng_chance(rng, 20)) o.flags |= FLAG_POKE;
        if (rng_chance(rng, 50)) o.imm &= ~(7u << 2); /* no limit */
        break;
    case 8:
        o.code = OP_SPIN;
        o.imm %= 400;
        break;
    default:
        o.code = OP_ADD;
        if (rng_chance(rng, 60)) o.flags |= FLAG_CONSTANT;
        if (rng_chance(rng, 15)) o.flags |= FLAG_LARGE;
        if (rng_chance(rng, 10)) o.flags |= FLAG_AWAY;
        if (rng_chance(rng, 20)) o.flags |= FLAG_BOUND;
    }
    if (i == 10) o.code = OP_EMIT;
    if (rng_chance(rng, p->faults) && rng_chance(rng, 20)) {
        o.code = OP_FAULT;
        o.mask = 7;
    }
    return o;
}

size_t program_generate(uint64_t *rng, const program_profile *p, uint8_t *bytes) {
    uint32_t count = rng_below(rng, p->operations + 1), i = 0;
    if (count && rng_chance(rng, p->antes)) {
        op ante = {.code = OP_ANTE, .imm = rng_below(rng, count)};
        memcpy(bytes + i++ * sizeof ante, &ante, sizeof ante);
    }
    for (; i < count; i++) {
        op o = generate_op(rng, p);
        memcpy(bytes + i * sizeof o, &o, sizeof o);
    }
    return count * sizeof(op);
}

void program_keys(const uint8_t *bytes, size_t len, uint32_t keys, void (*emit)(void *, uint32_t), void *context) {
    for (size_t at = 0; at + sizeof(op) <= len; at += sizeof(op)) {
        op o;
        memcpy(&o, bytes + at, sizeof o);
        if (o.code <= OP_REMOVE || o.code == OP_ADD) emit(context, o.key % keys);
    }
}
