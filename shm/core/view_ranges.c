#include "ordered.h"
#include "view_inside.h"

static uint8_t *copied(const uint8_t *bytes, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    assert(copy);
    memcpy(copy, bytes, len);
    return copy;
}

/* What this transaction adds in a range becomes what it writes there: a scan shows values. False: it cannot be read now. */
static bool own_values(ioi_view *v, const ioi_bounds *range) {
    struct ioi_view_store *s = v->store;
    for (uint32_t i = 0; i < s->writes_count; i++) {
        const own_write *w = &s->writes[i];
        if (!w->standing || !w->adding || !ioi_within(range, w->entry->key, w->entry->key_len)) continue;
        ioi_key key = ioi_offset(v->worker->arena, w->entry);
        const uint8_t *value;
        size_t len;
        if (ioi_view_get(v, key, &value, &len) == IOI_STOP) return false;
        int r = ioi_view_put(v, key, value, len);
        assert(r == IOI_OK && "it counts as before");
        (void)r;
    }
    return true;
}

int ioi_view_range_open(ioi_view *v, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse,
                        uint32_t *range) {
    struct ioi_view_store *s = v->store;
    if (gone_stale(v)) return stop(v, IOI_STOP_STALE);
    if (!ioi_ordered_switch_on(&v->worker->alloc)) return stop(v, IOI_STOP_FULL);
    ioi_bounds all = {low, high, low ? (uint32_t)low_len : IOI_UNBOUNDED, high ? (uint32_t)high_len : IOI_UNBOUNDED, false};
    if (!own_values(v, &all)) return IOI_STOP;
    if (v->worker->noting) ioi_will_read(v->worker, v->tx, IOI_ANY_KEY);
    s->ranges = grown(s->ranges, &s->ranges_capacity, s->ranges_count + 1, sizeof *s->ranges);
    *range = s->ranges_count++;
    s->ranges[*range] = (open_range){
        .low = low ? copied(low, low_len) : NULL,
        .high = high ? copied(high, high_len) : NULL,
        .low_len = (uint32_t)low_len,
        .high_len = (uint32_t)high_len,
        .reverse = reverse,
    };
    return IOI_OK;
}

int ioi_view_range_reached(ioi_view *v, uint32_t range, const uint8_t *key, size_t len) {
    struct ioi_view_store *s = v->store;
    assert(range < s->ranges_count);
    open_range *r = &s->ranges[range];
    r->looked = true;
    if (!key) {
        r->complete = true;
        return IOI_OK;
    }
    r->reached = realloc(r->reached, len ? len : 1);
    assert(r->reached);
    memcpy(r->reached, key, len);
    r->reached_len = (uint32_t)len;
    return IOI_OK;
}
