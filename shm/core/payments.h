/* The built-in payments VM (DESIGN section 6): agents paying providers.
 *
 *     account   state key "acct/" + address (32);  value balance u128, nonce u64
 *     transfer  sender 32, recipient 32, amount u128, fee u64, nonce u64, expiry height u64 (0 = none): 104 bytes
 *     signed    the 104 bytes and 64 more, which are looked at elsewhere
 *     payout    state key "payout/" + proposer, which has not 32 bytes; value the address (32) its fees go to
 *
 * Integers are big endian. Checks in order, their names the error texts: malformed, expired, nonce, balance, overflow. */
#ifndef IOI_PAYMENTS_H
#define IOI_PAYMENTS_H

#include "../ioi_shm/include/ioi_vm.h"

typedef struct ioi_payments_vm {
    ioi_vm vm;  /* first */
    size_t len; /* of a transaction */
} ioi_payments_vm;

extern const ioi_payments_vm ioi_payments, ioi_payments_signed;

#endif
