#include "parse.h"

enum { VERSION = 1, SIZE_MAX_BYTES = 1 << 24, NAME_BEFORE_NUMBER = 247, NUMBER_MAX = 100000000 };
enum { REVERSE = 1, START = 2, END = 4, PREFIX = 8 };
#define COST_MAX_NS UINT64_C(600000000000)

static bool take(program_bytes *rest, uint64_t count, const uint8_t **bytes) {
    if (count > (uint64_t)(rest->end - rest->at)) return false;
    *bytes = rest->at;
    rest->at += count;
    return true;
}

static bool number(program_bytes *rest, unsigned size, uint64_t most, uint64_t *value) {
    const uint8_t *bytes;
    if (!take(rest, size, &bytes)) return false;
    *value = 0;
    for (unsigned i = 0; i < size; i++) *value = *value << 8 | bytes[i];
    return *value <= most;
}

static bool byte(program_bytes *rest, uint8_t *value) {
    const uint8_t *bytes;
    if (!take(rest, 1, &bytes)) return false;
    *value = *bytes;
    return true;
}

static bool key(program_bytes *rest, program_key *key) {
    uint8_t kind;
    uint64_t numbers;
    if (!byte(rest, &kind) || !byte(rest, &key->length) || !take(rest, key->length, &key->name)) return false;
    key->numbers = 0;
    if (kind == 0) return key->length > 0;
    if (kind != 1 || key->length > NAME_BEFORE_NUMBER || !number(rest, 4, NUMBER_MAX, &numbers)) return false;
    key->numbers = (uint32_t)numbers;
    return numbers > 0;
}

static bool scan(program_bytes *rest) {
    uint8_t flags;
    uint64_t limit;
    program_key bound;
    if (!byte(rest, &flags) || !number(rest, 4, UINT32_MAX, &limit)) return false;
    if (flags > 15 || ((flags & PREFIX) && (flags & (START | END)))) return false;
    if ((flags & (START | PREFIX)) && !key(rest, &bound)) return false;
    return !(flags & END) || key(rest, &bound);
}

bool program_next(program_bytes *rest, program_op *op) {
    uint8_t code;
    uint64_t length, delta;
    if (!byte(rest, &code)) return false;
    op->code = (program_code)code;
    switch (op->code) {
    case PROGRAM_READ:
    case PROGRAM_EXISTS:
    case PROGRAM_DELETE: return key(rest, &op->key);
    case PROGRAM_WRITE: return key(rest, &op->key) && number(rest, 4, SIZE_MAX_BYTES, &op->number);
    case PROGRAM_ADD:
        if (!key(rest, &op->key) || !number(rest, 4, SIZE_MAX_BYTES, &op->number) || !number(rest, 8, UINT64_MAX, &delta))
            return false;
        op->delta = (int64_t)delta;
        return op->number > 0 && op->delta != INT64_MIN;
    case PROGRAM_SCAN: return scan(rest);
    case PROGRAM_BURN:
    case PROGRAM_SLEEP: return number(rest, 8, COST_MAX_NS, &op->number);
    case PROGRAM_REVERT:
        return byte(rest, &op->mask) && byte(rest, &op->bits) && number(rest, 1, UINT8_MAX, &op->number) && op->number > 0;
    case PROGRAM_WHEN:
    case PROGRAM_UNDO:
        if (!byte(rest, &op->mask) || !byte(rest, &op->bits) || !number(rest, 4, UINT32_MAX, &length) ||
            !take(rest, length, &op->body.at))
            return false;
        op->body.end = rest->at;
        return true;
    }
    return false;
}

static program_kind check(program_bytes rest, unsigned depth) {
    if (depth > PROGRAM_DEPTH) return PROGRAM_MALFORMED;
    program_kind found = PROGRAM_PLAIN;
    while (rest.at < rest.end) {
        program_op op;
        program_kind kind = PROGRAM_PLAIN;
        if (!program_next(&rest, &op)) return PROGRAM_MALFORMED;
        if (op.code == PROGRAM_SCAN) kind = PROGRAM_SCANS;
        if (op.code == PROGRAM_WHEN || op.code == PROGRAM_UNDO) kind = check(op.body, depth + 1);
        if (kind == PROGRAM_MALFORMED) return kind;
        if (kind == PROGRAM_SCANS) found = kind;
    }
    return found;
}

program_kind program_check(const uint8_t *tx, size_t len, program_bytes *body) {
    if (len < PROGRAM_HEAD || tx[0] != VERSION) return PROGRAM_MALFORMED;
    *body = (program_bytes){tx + PROGRAM_HEAD, tx + len};
    return check(*body, 0);
}
