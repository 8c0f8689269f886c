/* ioi_ctx.random: as TxContext.random has it (ioi_exec/block/context.py). */
#include "module.h"

#include "sha256.h"

static uint8_t *put_big(uint8_t *to, uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) *to++ = (uint8_t)(number >> shift);
    return to;
}

void context_random(const ioi_ctx *ctx, const uint8_t *label, size_t len, uint8_t seed[32]) {
    enum { ROOT = 32, VERSION = 1 };
    static const char domain[16] = "ioi-exec random";
    uint8_t fixed[sizeof domain + 1 + ROOT + 2 * sizeof(uint64_t)] = {0}, *to = fixed;
    memcpy(to, domain, sizeof domain);
    to += sizeof domain;
    *to++ = VERSION;
    memcpy(to, ctx->parent_root, ctx->parent_root_len < ROOT ? ctx->parent_root_len : ROOT);
    put_big(put_big(to + ROOT, ctx->height), ctx->tx_index);
    uint8_t *whole = malloc(sizeof fixed + len);
    assert(whole);
    memcpy(whole, fixed, sizeof fixed);
    if (len) memcpy(whole + sizeof fixed, label, len);
    sha256(whole, sizeof fixed + len, seed);
    free(whole);
}
