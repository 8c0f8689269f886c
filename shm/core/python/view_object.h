/* ioi_shm.View as the files that make it share it: view.c is the back end, turns.c executes on it. */
#ifndef IOI_VIEW_OBJECT_H
#define IOI_VIEW_OBJECT_H

#include "state.h"

typedef struct {
    BackObject back; /* first */
    PyObject *owner; /* the Worker */
    ioi_worker *worker;
    ioi_view *view;
    Walks walks;         /* over the committed state, of its scans */
    bool unreadable;     /* one of them raised something */
    uint64_t fetch_from; /* while recording: when `hint` said what is missing */
} ViewObject;

/* view.turns(...): see turns.c. */
PyObject *view_turns(ViewObject *self, PyObject *args);

#endif
