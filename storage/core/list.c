#include "list.h"

#include <stdlib.h>

bool list_add(struct list *list, void *item) {
    if (list->count == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 16;
        void **at = realloc(list->at, room * sizeof *at);
        if (at == NULL) return false;
        list->at = at;
        list->room = room;
    }
    list->at[list->count++] = item;
    return true;
}
