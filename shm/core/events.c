#include "events.h"

enum { LENGTH = 4, HEX_MAX = 1 + 2 + 2 * IOI_EVENT_INTEGER_MAX };

/* ---- packing ----------------------------------------------------------------------------------------------------- */

static bool add_name(ioi_bytes *to, const char *name, size_t len) {
    uint8_t size = (uint8_t)len;
    return ioi_bytes_add(to, &size, 1) && ioi_bytes_add(to, name, len);
}

bool ioi_event_begin(ioi_bytes *to, const char *name, size_t name_len, size_t attributes, size_t *from) {
    static const uint8_t length[LENGTH];
    uint8_t count = (uint8_t)attributes;
    *from = to->len;
    return ioi_bytes_add(to, length, LENGTH) && add_name(to, name, name_len) && ioi_bytes_add(to, &count, 1);
}

bool ioi_event_attribute(ioi_bytes *to, int kind, const char *name, size_t name_len, const void *value, size_t len) {
    uint8_t what = (uint8_t)kind;
    uint32_t size = (uint32_t)len;
    return ioi_bytes_add(to, &what, 1) && add_name(to, name, name_len) && ioi_bytes_add(to, &size, LENGTH) &&
           ioi_bytes_add(to, value, len);
}

void ioi_event_end(ioi_bytes *to, size_t from) {
    uint32_t length = (uint32_t)(to->len - from - LENGTH);
    memcpy(to->at + from, &length, LENGTH);
}

/* ---- of a native VM ------------------------------------------------------------------------------------------------ */

/* Whether a decoder of UTF-8 takes it (RFC 3629: nothing longer than need be, no surrogates, nothing above U+10FFFF). */
static bool is_utf8(const uint8_t *at, size_t len) {
    for (const uint8_t *end = at + len; at < end;) {
        uint8_t first = *at++;
        if (first < 0x80) continue;
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - at < more) return false;
        uint8_t low = first == 0xe0   ? 0xa0
                      : first == 0xf0 ? 0x90
                                      : 0x80,
                high = first == 0xed   ? 0x9f
                       : first == 0xf4 ? 0x8f
                                       : 0xbf;
        for (; more; more--, low = 0x80, high = 0xbf)
            if (*at < low || *at++ > high) return false;
    }
    return true;
}

static size_t name_size(const char *name) { /* 0: it is none */
    size_t len = name ? strnlen(name, IOI_EVENT_NAME_MAX + 1) : 0;
    return len <= IOI_EVENT_NAME_MAX && is_utf8((const uint8_t *)name, len) ? len : 0;
}

/* An integer as Python's hex() writes it. Its length. */
static size_t hex(const ioi_attribute *a, char text[HEX_MAX]) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = a->value;
    size_t at = 0, i = 0, nibbles = 2 * a->len;
    bool zero = true;
    for (size_t k = 0; k < a->len; k++) zero = zero && !bytes[k];
    if (a->negative && !zero) text[at++] = '-';
    text[at++] = '0';
    text[at++] = 'x';
    if (zero) return text[at++] = '0', at;
    while (!(bytes[i / 2] >> (i % 2 ? 0 : 4) & 15)) i++;
    for (; i < nibbles; i++) text[at++] = digits[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
    return at;
}

/* False: it cannot be. */
static bool value_size(const ioi_attribute *a, size_t *len) {
    char text[HEX_MAX];
    *len = a->len;
    if (a->len > IOI_EVENTS_BYTES || (a->len && !a->value)) return false;
    if (a->kind == IOI_TEXT) return is_utf8(a->value, a->len);
    if (a->kind != IOI_INTEGER) return a->kind == IOI_BYTES;
    if (a->len > IOI_EVENT_INTEGER_MAX) return false;
    *len = hex(a, text);
    return true;
}

size_t ioi_event_size(const char *name, const ioi_attribute *attributes, size_t count) {
    size_t named = name_size(name), size = LENGTH + 1 + named + 1;
    if (!named || count > IOI_EVENT_ATTRIBUTES_MAX) return 0;
    for (size_t i = 0; i < count; i++) {
        size_t len;
        if (!(named = name_size(attributes[i].name)) || !value_size(&attributes[i], &len)) return 0;
        size += 2 + named + LENGTH + len;
    }
    return size <= IOI_EVENTS_BYTES ? size : 0;
}

bool ioi_event_pack(ioi_bytes *to, const char *name, const ioi_attribute *attributes, size_t count) {
    size_t from;
    if (!ioi_event_begin(to, name, strlen(name), count, &from)) return false;
    for (size_t i = 0; i < count; i++) {
        const ioi_attribute *a = &attributes[i];
        char text[HEX_MAX];
        size_t len = a->kind == IOI_INTEGER ? hex(a, text) : a->len;
        const void *value = a->kind == IOI_INTEGER ? text : a->value;
        if (!ioi_event_attribute(to, a->kind, a->name, strlen(a->name), value, len)) return false;
    }
    ioi_event_end(to, from);
    return true;
}
