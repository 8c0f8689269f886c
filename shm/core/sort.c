#include "sort.h"

#include <stdlib.h>
#include <string.h>

#include "ordered.h"

enum { FEW = 32 /* are compared sooner than counted */ };

/* How many bytes all keys have in common at their beginning. */
static uint32_t common_prefix(const ioi_sorted *items, size_t count, ioi_key_of *key_of) {
    uint32_t common, len;
    const uint8_t *first = key_of(items[0].of, &common);
    for (size_t i = 1; i < count && common; i++) {
        const uint8_t *key = key_of(items[i].of, &len);
        if (len < common) common = len;
        if (memcmp(first, key, common) == 0) continue;
        uint32_t same = 0;
        while (first[same] == key[same]) same++;
        common = same;
    }
    return common;
}

static uint64_t order_of(const uint8_t *key, uint32_t len) {
    uint8_t bytes[8] = {0};
    memcpy(bytes, key, len < 8 ? len : 8);
    uint64_t order;
    memcpy(&order, bytes, 8);
    return __builtin_bswap64(order); /* both supported machines are little endian */
}

static int by_key(const void *a, const void *b, void *context) {
    ioi_key_of **key_of = context;
    uint32_t a_len, b_len;
    const uint8_t *x = (*key_of)(((const ioi_sorted *)a)->of, &a_len), *y = (*key_of)(((const ioi_sorted *)b)->of, &b_len);
    return ioi_key_compare(x, a_len, y, b_len);
}

bool ioi_sort(ioi_sorted **items, size_t count, ioi_key_of *key_of) {
    ioi_sorted *from = *items;
    if (count <= FEW) {
        if (count) qsort_r(from, count, sizeof *from, by_key, &key_of);
        return true;
    }
    ioi_sorted *to = malloc(count * sizeof *to);
    if (!to) return false;
    uint32_t prefix = common_prefix(from, count, key_of), len;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *key = key_of(from[i].of, &len);
        from[i].order = order_of(key + prefix, len - prefix);
    }
    for (uint32_t shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++) starts[(from[i].order >> shift & 255) + 1]++;
        if (starts[(from[0].order >> shift & 255) + 1] == count) continue; /* all the same */
        for (uint32_t b = 0; b < 256; b++) starts[b + 1] += starts[b];
        for (size_t i = 0; i < count; i++) to[starts[from[i].order >> shift & 255]++] = from[i];
        ioi_sorted *sorted = to;
        to = from;
        from = sorted;
    }
    free(to);
    *items = from;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && from[end].order == from[i].order; end++) {}
        if (end - i > 1) qsort_r(&from[i], end - i, sizeof *from, by_key, &key_of);
    }
    return true;
}
