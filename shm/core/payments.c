#include "payments.h"

#include <stdbool.h>
#include <string.h>

enum {
    ADDRESS = 32,
    PREFIX = 5,
    KEY = PREFIX + ADDRESS,
    ACCOUNT = 24,
    TRANSFER = 104,
    SIGNATURE = 64,
    PAYOUT = 7,
    PROPOSER = 64
};
enum { AT_SENDER = 0, AT_RECIPIENT = 32, AT_AMOUNT = 64, AT_FEE = 80, AT_NONCE = 88, AT_EXPIRY = 96 };
enum { FAILED = 1 }; /* every refused transfer's code; the error text says why */

typedef unsigned __int128 u128;

typedef struct account {
    u128 balance;
    uint64_t nonce;
} account;

static uint64_t get_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static u128 get_u128(const uint8_t *p) { return (u128)get_u64(p) << 64 | get_u64(p + 8); }

static void put_u64(uint8_t *p, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

static void account_key(uint8_t key[KEY], const uint8_t *address) {
    memcpy(key, "acct/", PREFIX);
    memcpy(key + PREFIX, address, ADDRESS);
}

static int open_account(ioi_state *state, const uint8_t *address, ioi_key *key) {
    uint8_t bytes[KEY];
    account_key(bytes, address);
    return state->key(state, bytes, KEY, key);
}

/* An absent account is 0/0. So is a value of another length: nothing but this VM writes accounts, and genesis is checked. */
static int read_account(ioi_state *state, ioi_key key, account *out) {
    const uint8_t *value;
    size_t len;
    int r = state->get(state, key, &value, &len);
    if (r == IOI_STOP) return r;
    *out = (account){0, 0};
    if (r == IOI_OK && len == ACCOUNT) *out = (account){get_u128(value), get_u64(value + 16)};
    return IOI_OK;
}

static int write_account(ioi_state *state, ioi_key key, account a) {
    uint8_t value[ACCOUNT];
    put_u64(value, (uint64_t)(a.balance >> 64));
    put_u64(value + 8, (uint64_t)a.balance);
    put_u64(value + 16, a.nonce);
    return state->put(state, key, value, ACCOUNT);
}

/* Add to a balance without reading it: whoever else pays the same account does not conflict. IOI_REFUSED: it would overflow. */
static int credit(ioi_state *state, ioi_key key, u128 amount) {
    const ioi_addition a = {.field = {0, 16, ACCOUNT}, .delta = amount, .maximum = ~(u128)0};
    size_t found;
    int r = state->add(state, key, &a, &found);
    return r == IOI_LENGTH ? write_account(state, key, (account){amount, 0}) : r; /* as read_account has it */
}

static int fail(ioi_outcome *outcome, const char *why) {
    outcome->code = FAILED;
    outcome->error = why;
    outcome->error_len = strlen(why);
    return IOI_OK;
}

static int execute(const ioi_vm *vm, const uint8_t *tx, size_t len, ioi_state *state, const ioi_ctx *ctx, ioi_outcome *outcome) {
    if (len != ((const ioi_payments_vm *)vm)->len) return fail(outcome, "malformed");
    u128 amount = get_u128(tx + AT_AMOUNT);
    uint64_t fee = get_u64(tx + AT_FEE), nonce = get_u64(tx + AT_NONCE), expiry = get_u64(tx + AT_EXPIRY);
    if (expiry != 0 && ctx->height > expiry) return fail(outcome, "expired");

    bool to_oneself = memcmp(tx + AT_SENDER, tx + AT_RECIPIENT, ADDRESS) == 0;
    ioi_key sender_key, recipient_key;
    account sender;
    if (open_account(state, tx + AT_SENDER, &sender_key) == IOI_STOP) return IOI_STOP;
    if (read_account(state, sender_key, &sender) == IOI_STOP) return IOI_STOP;
    if (nonce != sender.nonce || nonce == UINT64_MAX) return fail(outcome, "nonce");
    /* amount + fee may not fit 128 bits; then no balance covers it. */
    if (sender.balance < fee || sender.balance - fee < amount) return fail(outcome, "balance");

    sender.balance -= fee;
    sender.nonce++;
    if (to_oneself) return write_account(state, sender_key, sender) ? fail(outcome, "limit") : IOI_OK;

    if (open_account(state, tx + AT_RECIPIENT, &recipient_key) == IOI_STOP) return IOI_STOP;
    int r = credit(state, recipient_key, amount);
    if (r == IOI_STOP) return r;
    if (r == IOI_REFUSED) return fail(outcome, "overflow");
    sender.balance -= amount;
    return r || write_account(state, sender_key, sender) ? fail(outcome, "limit") : IOI_OK;
}

static void keys(const ioi_vm *vm, const uint8_t *tx, size_t len, void (*emit)(void *, const uint8_t *, size_t), void *context) {
    if (len != ((const ioi_payments_vm *)vm)->len) return;
    uint8_t key[KEY];
    account_key(key, tx + AT_SENDER);
    emit(context, key, KEY);
    account_key(key, tx + AT_RECIPIENT);
    emit(context, key, KEY);
}

/* The account of a proposer: itself, or the one that the state names for it. */
static int open_payout(ioi_state *state, const ioi_ctx *ctx, ioi_key *key) {
    if (ctx->proposer_len == ADDRESS) return open_account(state, ctx->proposer, key);
    uint8_t name[PAYOUT + PROPOSER];
    if (ctx->proposer_len == 0 || ctx->proposer_len > PROPOSER) return IOI_ABSENT;
    memcpy(name, "payout/", PAYOUT);
    memcpy(name + PAYOUT, ctx->proposer, ctx->proposer_len);
    const uint8_t *address;
    size_t len;
    int r = state->key(state, name, PAYOUT + ctx->proposer_len, key);
    if (r == IOI_OK) r = state->get(state, *key, &address, &len);
    if (r != IOI_OK) return r;
    return len == ADDRESS ? open_account(state, address, key) : IOI_ABSENT;
}

/* Fees of the successful transfers go to the proposer at once, so that they never make transfers conflict.
 * Without a proposer, or where they would overflow its balance, they are burned. */
static int end_block(const ioi_vm *vm, ioi_state *state, const ioi_ctx *ctx, const ioi_results *results, ioi_outcome *outcome) {
    (void)vm;
    u128 fees = 0; /* at most 2^32 transfers of less than 2^64 each */
    for (uint64_t i = 0; i < results->n; i++) {
        if (results->code(results, i) != 0) continue;
        size_t len;
        const uint8_t *tx = results->transaction(results, i, &len);
        fees += get_u64(tx + AT_FEE);
    }
    if (fees == 0) return IOI_OK;
    ioi_key key;
    account proposer;
    int r = open_payout(state, ctx, &key);
    if (r != IOI_OK) return r == IOI_STOP ? IOI_STOP : IOI_OK;
    if (read_account(state, key, &proposer) == IOI_STOP) return IOI_STOP;
    if (proposer.balance + fees < fees) return IOI_OK;
    proposer.balance += fees;
    return write_account(state, key, proposer) ? fail(outcome, "limit") : IOI_OK;
}

#define PAYMENTS {.abi = IOI_VM_ABI, .version = 1, .name = "payments", .execute = execute, .keys = keys, .end_block = end_block}

const ioi_payments_vm ioi_payments = {PAYMENTS, TRANSFER};
const ioi_payments_vm ioi_payments_signed = {PAYMENTS, TRANSFER + SIGNATURE};
