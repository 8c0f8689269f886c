/* The built-in payments VM (DESIGN section 6): agents paying providers.
 *
 *     account   state key "acct/" + address (32);  value balance u128, nonce u64
 *     transfer  sender 32, recipient 32, amount u128, fee u64, nonce u64, expiry height u64 (0 = none): 104 bytes
 *
 * Integers are big endian. Checks in order, their names the error texts: malformed, expired, nonce, balance, overflow. */
#ifndef IOI_PAYMENTS_H
#define IOI_PAYMENTS_H

#include "../ioi_shm/include/ioi_vm.h"

extern const ioi_vm ioi_payments;

#endif
