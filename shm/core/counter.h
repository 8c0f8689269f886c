/* A counter: an unsigned big-endian integer inside a value, which transactions add to (ioi_exec.StateView.add). An addition is
 * done if the counter, absent ones being 0, stays between its minimum and its maximum; else it is refused. */
#ifndef IOI_COUNTER_H
#define IOI_COUNTER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { IOI_COUNTER_WIDTH_MAX = 16 }; /* bytes */

/* Results of an addition, beside those of ioi_vm.h: it is out of bounds; or what is there is no value of that size. */
enum { IOI_ADD_REFUSED = 3, IOI_ADD_LENGTH = 4 };

typedef unsigned __int128 ioi_u128;

/* Where it is: `width` bytes from `offset` on, of a value of `size` bytes. */
typedef struct ioi_field {
    uint32_t offset, width, size;
} ioi_field;

/* A minimum above its maximum is never met. Both, and the delta, are at most ioi_counter_max. */
typedef struct ioi_addition {
    ioi_field field;
    bool negative;
    ioi_u128 delta; /* its magnitude */
    ioi_u128 minimum, maximum;
} ioi_addition;

static inline ioi_u128 ioi_counter_max(uint32_t width) {
    assert(width >= 1 && width <= IOI_COUNTER_WIDTH_MAX);
    return ~(ioi_u128)0 >> (8 * (IOI_COUNTER_WIDTH_MAX - width));
}

static inline ioi_u128 ioi_counter_get(const uint8_t *value, const ioi_field *f) {
    ioi_u128 n = 0;
    for (uint32_t i = 0; i < f->width; i++) n = n << 8 | value[f->offset + i];
    return n;
}

static inline void ioi_counter_put(uint8_t *value, const ioi_field *f, ioi_u128 n) {
    for (uint32_t i = f->width; i-- > 0; n >>= 8) value[f->offset + i] = (uint8_t)n;
}

/* Does the counter at `n` take it? Then *n is what it is afterwards. */
static inline bool ioi_counter_add(const ioi_addition *a, ioi_u128 *n) {
    ioi_u128 most = ioi_counter_max(a->field.width);
    if (a->negative ? *n < a->delta : *n > most || most - *n < a->delta) return false;
    ioi_u128 after = a->negative ? *n - a->delta : *n + a->delta;
    if (after < a->minimum || after > a->maximum) return false;
    *n = after;
    return true;
}

#endif
