#include "readers.h"

static uint64_t key_bit(ioi_ref entry) {
    uint32_t hash = entry * UINT32_C(0x9e3779b1);
    return UINT64_C(1) << ((uint64_t)hash * IOI_KEY_BITS >> 32);
}

uint64_t ioi_keys_read(const ioi_arena *arena, const ioi_incarnation *inc) {
    if (ioi_incarnation_more(arena, inc)->ranges_count) return IOI_SUSPECT - 1;
    uint64_t set = 0;
    for (uint32_t i = 0; i < inc->reads_count; i++) set |= key_bit(inc->reads[i].entry & ~IOI_PRESENCE);
    return set;
}

uint64_t ioi_keys_written(const ioi_incarnation *inc) {
    const ioi_write *writes = ioi_incarnation_writes(inc);
    uint64_t set = 0;
    for (uint32_t i = 0; i < inc->writes_count; i++) set |= key_bit(writes[i].entry);
    return set;
}
