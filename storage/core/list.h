/* A growing array of pointers. All zero is empty; free(list.at) ends it. */
#ifndef IOI_LIST_H
#define IOI_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    void **at;
    size_t count, room;
};

/* False if there is no memory. */
bool list_add(struct list *list, void *item);

#endif
