#include "decided.h"

#include <stdlib.h>

typedef struct reading {
    const uint8_t *at, *end;
    bool good;
} reading;

static uint64_t number(reading *r, size_t width) { /* big endian */
    uint64_t n = 0;
    if ((size_t)(r->end - r->at) < width) return r->good = false, 0;
    while (width--) n = n << 8 | *r->at++;
    return n;
}

static const uint8_t *taken(reading *r, size_t len) {
    const uint8_t *at = r->at;
    if ((size_t)(r->end - at) < len) return r->good = false, NULL;
    r->at += len;
    return at;
}

static void read_vote(reading *r, ioi_vote *v) {
    v->validator_len = number(r, 1);
    v->flag = (int)number(r, 1);
    v->power = number(r, 8);
    v->validator = taken(r, v->validator_len);
}

static void read_misbehaviour(reading *r, ioi_misbehaviour *m) {
    m->validator_len = number(r, 1);
    m->kind = (int)number(r, 1);
    m->power = number(r, 8);
    m->height = number(r, 8);
    m->time_ns = number(r, 8);
    m->total_power = number(r, 8);
    m->validator = taken(r, m->validator_len);
}

bool ioi_decided_read(ioi_decided *d, const uint8_t *bytes, size_t len) {
    reading r = {bytes, bytes + len, true};
    *d = (ioi_decided){0};
    if (len == 0) return true;
    size_t votes = number(&r, 4), misbehaviour = number(&r, 4);
    r.good = r.good && votes <= len && misbehaviour <= len; /* each takes some bytes */
    if (!r.good) return false;
    d->votes = calloc(votes + 1, sizeof *d->votes);
    d->misbehaviour = calloc(misbehaviour + 1, sizeof *d->misbehaviour);
    r.good = d->votes && d->misbehaviour;
    while (r.good && d->votes_count < votes) read_vote(&r, &d->votes[d->votes_count++]);
    while (r.good && d->misbehaviour_count < misbehaviour) read_misbehaviour(&r, &d->misbehaviour[d->misbehaviour_count++]);
    if (r.good && r.at == r.end) return true;
    ioi_decided_free(d);
    return false;
}

void ioi_decided_free(ioi_decided *d) {
    free(d->votes);
    free(d->misbehaviour);
    *d = (ioi_decided){0};
}

void ioi_decided_tell(const ioi_decided *d, ioi_ctx *ctx) {
    ctx->votes = d->votes;
    ctx->votes_count = d->votes_count;
    ctx->misbehaviour = d->misbehaviour;
    ctx->misbehaviour_count = d->misbehaviour_count;
}
