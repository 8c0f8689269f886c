#include "readers.h"

uint64_t ioi_keys_read(const ioi_arena *arena, const ioi_incarnation *inc) {
    if (ioi_incarnation_more(arena, inc)->ranges_count) return IOI_ANY_KEY;
    uint64_t set = 0;
    for (uint32_t i = 0; i < inc->reads_count; i++) set |= ioi_key_bits(inc->reads[i].entry & ~IOI_PRESENCE);
    return set;
}

ioi_keys ioi_keys_written(const ioi_incarnation *inc) {
    const ioi_write *writes = ioi_incarnation_writes(inc);
    ioi_keys keys = {.count = inc->writes_count};
    for (uint32_t i = 0; i < inc->writes_count; i++) {
        uint64_t bits = ioi_key_bits(writes[i].entry);
        keys.all |= bits;
        if (i < IOI_KEYS_FEW) keys.each[i] = bits;
    }
    return keys;
}
