/* A counter: an unsigned big-endian integer inside a value, which transactions add to (ioi_exec.StateView.add). An addition is
 * done if the counter, absent ones being 0, stays between its minimum and its maximum; else it is refused. */
#ifndef IOI_COUNTER_H
#define IOI_COUNTER_H

#include <assert.h>
#include <string.h>

#include "../ioi_shm/include/ioi_vm.h"

enum { IOI_COUNTER_WIDTH_MAX = 16 }; /* bytes */

/* Is there such a place? */
static inline bool ioi_field_is_one(const ioi_field *f) {
    return f->width >= 1 && f->width <= IOI_COUNTER_WIDTH_MAX && f->size >= f->width && f->offset <= f->size - f->width;
}

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

/* What an addition learns: is it done where the counter is `now`, which is `base` and what the same transaction added before? The
 * verdict holds as long as the base is from *low to *high, which are narrowed to that. */
static inline bool ioi_counter_learn(const ioi_addition *a, ioi_u128 base, ioi_u128 now, ioi_u128 *low, ioi_u128 *high) {
    const ioi_u128 all = ~(ioi_u128)0, most = ioi_counter_max(a->field.width);
    ioi_u128 minimum = a->minimum, maximum = a->maximum < most ? a->maximum : most;
    if (a->delta > most || minimum > maximum) return false; /* wherever it is */
    if (a->negative ? most - a->delta < minimum : maximum < a->delta) return false;
    /* Done from `from` to `to`. */
    ioi_u128 from = a->negative ? minimum + a->delta : minimum > a->delta ? minimum - a->delta : 0;
    ioi_u128 to = a->negative ? (maximum > most - a->delta ? most : maximum + a->delta) : maximum - a->delta;
    if (now < from) { /* the base is below base + (from - now) */
        if (all - base >= from - now && base + (from - now) - 1 < *high) *high = base + (from - now) - 1;
        return false;
    }
    if (now > to) { /* above base - (now - to) */
        if (base >= now - to && base - (now - to) + 1 > *low) *low = base - (now - to) + 1;
        return false;
    }
    if (base > now - from && base - (now - from) > *low) *low = base - (now - from);
    if (all - base >= to - now && base + (to - now) < *high) *high = base + (to - now);
    return true;
}

#endif
