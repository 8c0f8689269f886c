/* Events of a transaction, packed one after another, little endian: u32 length of what follows, u8 name_len, name, u8 attributes; of
 * each: u8 kind (ioi_vm.h), u8 name_len, name, u32 len, value. An integer is text in base 16. ioi_exec/block/event.py reads them. */
#ifndef IOI_PACKED_EVENTS_H
#define IOI_PACKED_EVENTS_H

#include "../ioi_shm/include/ioi_vm.h"
#include "bytes.h"

enum { IOI_EVENTS_BYTES = 1 << 20 }; /* of a transaction */
enum { IOI_EVENT_NAME_MAX = 255, IOI_EVENT_ATTRIBUTES_MAX = 64, IOI_EVENT_INTEGER_MAX = 32 };

/* In parts: false without memory. What is in a name and a value is the caller's to look at; `from` is where the event begins. */
bool ioi_event_begin(ioi_bytes *to, const char *name, size_t name_len, size_t attributes, size_t *from);
bool ioi_event_attribute(ioi_bytes *to, int kind, const char *name, size_t name_len, const void *value, size_t len);
void ioi_event_end(ioi_bytes *to, size_t from);

/* How many bytes the event of a native VM has packed; 0: it is none, or has more than all events together may. */
size_t ioi_event_size(const char *name, const ioi_attribute *attributes, size_t count);

/* Pack an event that has a size. False without memory. */
bool ioi_event_pack(ioi_bytes *to, const char *name, const ioi_attribute *attributes, size_t count);

#endif
