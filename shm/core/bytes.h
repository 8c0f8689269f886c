/* Bytes that grow at their end. All zero is none. */
#ifndef IOI_BYTES_H
#define IOI_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct ioi_bytes {
    uint8_t *at;
    size_t len, room;
} ioi_bytes;

/* Room for so many more. False: no memory, and the bytes as they were. */
static inline bool ioi_bytes_room(ioi_bytes *b, size_t more) {
    if (more <= b->room - b->len) return true;
    size_t room = 2 * b->room + more;
    uint8_t *grown = realloc(b->at, room);
    if (!grown) return false;
    b->at = grown;
    b->room = room;
    return true;
}

static inline bool ioi_bytes_add(ioi_bytes *b, const void *bytes, size_t len) {
    if (!ioi_bytes_room(b, len)) return false;
    if (len) memcpy(b->at + b->len, bytes, len);
    b->len += len;
    return true;
}

static inline void ioi_bytes_free(ioi_bytes *b) {
    free(b->at);
    *b = (ioi_bytes){NULL, 0, 0};
}

#endif
