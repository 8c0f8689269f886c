/* `state`, as a VM in Python sees it: one front over two back ends, so that it behaves the same whoever runs the VM.
 *
 * The front (state.c, checkpoint.c, scan.c) alone knows how it is called: signatures, accepted types, limits, texts of
 * errors, order of checks, lifetimes. A back end alone knows what is in it: view.c over the multi-version memory, in a
 * worker; plain.c over dictionaries, where transactions execute one after another. The two share nothing behind this
 * header, no lookup, scan, merge or undo, so that the second is an oracle of the first.
 *
 * Lifetimes: a back end outlives many transactions (or incarnations), and `state_begin` makes a State for each.
 * `state_end` ends it, its scans and its checkpoints; whoever kept one is told so. It serves the thread that began it.
 */
#ifndef IOI_STATE_H
#define IOI_STATE_H

#include "../counter.h"
#include "depth.h"
#include "module.h"

#include <structmember.h>

typedef struct BackObject BackObject;
typedef struct StateObject StateObject;
typedef struct ScanObject ScanObject;
typedef struct BackScan BackScan; /* a scan under way: its back end knows what that is */

typedef enum { WRITE_DONE = 0, WRITE_KEYS = 1, WRITE_BYTES = 2, ADD_REFUSED = 3, ADD_LENGTH = 4 } WriteResult;

/* All keys and values are bytes, exactly; keys that are written are not empty, keys that are read may exist (see
 * KEY_READ_MAX). -1: it cannot go on, and this execution is of no use any more; an exception is set that says why, or
 * none if the back end has set `cut`. Where nothing else is said, references that are handed out are new. */
typedef struct {
    int (*get)(BackObject *, PyObject *key, PyObject **value); /* 1, or 0 if there is none */
    int (*exists)(BackObject *, PyObject *key);                /* 1 or 0 */
    /* A value, or NULL: a deletion. A WriteResult: beyond WRITE_DONE, nothing was written, for it would have exceeded
     * `limits` by the number of distinct keys or by the bytes of keys and values that stand written, whichever comes first
     * here. Writes that were undone do not stand. */
    int (*write)(BackObject *, PyObject *key, PyObject *value);
    /* Add to a counter. As `write`; or ADD_REFUSED; or ADD_LENGTH: the value there has another length, *found. In that order of
     * precedence from the last, and WRITE_DONE alone writes. */
    int (*add)(BackObject *, PyObject *key, const ioi_addition *, size_t *found);
    /* Add an event, packed; it is undone as a write is. WRITE_DONE, or WRITE_BYTES beyond IOI_EVENTS_BYTES. */
    int (*emit)(BackObject *, const uint8_t *bytes, size_t len);
    int (*mark)(BackObject *, uint64_t *mark); /* 0; from here on writes can be undone */
    /* Undo the writes since the innermost mark that is not closed, or keep them; it is closed then. */
    void (*close)(BackObject *, uint64_t mark, bool undo);
    /* The pairs from low to below high (NULL = open; low is below high), as the state stands now: what is written later is
     * not seen. It looks at nothing before `next` asks, and then at no more than it needs. NULL as -1 above. */
    BackScan *(*scan)(BackObject *, PyObject *low, PyObject *high, bool reverse);
    int (*next)(BackObject *, BackScan *, PyObject **key, PyObject **value); /* 1, or 0 at the end */
    void (*scan_free)(BackScan *);
} BackEnd;

/* The head of a back end's object. */
struct BackObject {
    PyObject_HEAD
    const BackEnd *end;
    ioi_limits limits;
    PyObject *fetch;  /* fetch(key): the committed value, or None */
    PyObject *range;  /* range(low, high, reverse): iterator over committed (key, value) */
    PyObject *over;   /* the exception of a limit */
    PyObject *leave;  /* the exception that ends an execution of no use, through whatever the VM catches */
    StateObject *now; /* borrowed: the one that has not ended, or NULL */
    PyObject *broken; /* what an operation of the back end raised, or NULL: then the outcome is worth nothing */
    bool cut;         /* the execution cannot go on: every operation raises `leave` */
    bool busy;        /* in an operation of the back end */
    bool held;        /* what was written before `hold` stays, whatever becomes of the rest */
    uint64_t hold;    /* the mark there */
    ioi_meter meter;  /* of the execution that has not ended, or was the last; `gas` NULL: it is not metered */
};

int back_init(BackObject *back, const BackEnd *end, PyObject *limits, PyObject *fetch, PyObject *range, PyObject *over,
              PyObject *leave);
int back_traverse(BackObject *back, visitproc visit, void *arg);
void back_clear(BackObject *back);
extern PyMemberDef back_members[]; /* cut, broken */

/* Methods of both back ends. */
PyObject *back_meter(BackObject *back, PyObject *none);
PyObject *back_gas_limit(BackObject *back, PyObject *limit);
PyObject *back_gas(BackObject *back, PyObject *none);
#define GAS_METHODS                                                                                                              \
    {"meter", CALL(back_meter), METH_NOARGS, "What began is a transaction: meter it, if the limits have a schedule."},           \
        {"gas_limit", CALL(back_gas_limit), METH_O, "The limit that it asks for."},                                              \
        {"gas", CALL(back_gas), METH_NOARGS, "(limit, used, whether it ran out) of the last transaction; None: not metered."}

/* An operation said -1: remember why, and set `leave`. */
void back_broke(BackObject *back);

/* The state of the next execution. Ends the one before, and forgets what was cut or broken. */
PyObject *state_begin(BackObject *back);

/* The execution that began is a transaction's: it is metered, where there is a schedule. */
void meter_begin(BackObject *back);
void state_end(BackObject *back);

/* What is written so far stays also if the rest of the transaction fails: from here on, that can be undone apart. */
void state_hold(BackObject *back);
/* It has failed, and has ended: undo what came after `hold`. */
void state_fall_back(BackObject *back);

/* ---- for back ends: the committed state (base.c) ------------------------------------------------------------------ */

/* Bytes or None; NULL with an exception. */
PyObject *base_value(BackObject *back, PyObject *key);
/* An iterator over committed pairs, and its next one: 1, 0 at its end, or -1 with an exception. */
PyObject *base_range(BackObject *back, PyObject *low, PyObject *high, bool reverse);
int base_next(PyObject *iterator, PyObject **key, PyObject **value);

/* ---- between the parts of the front --------------------------------------------------------------------------- */

struct StateObject {
    PyObject_HEAD
    BackObject *back;           /* NULL: ended */
    PyThreadState *thread;      /* which began it */
    uint32_t depth;             /* checkpoints open */
    ScanObject *scans;          /* borrowed: those that have not ended */
    StateObject *newer, *older; /* among those of all back ends that have not ended */
};

struct ScanObject {
    PyObject_HEAD
    StateObject *state;
    BackScan *scan;           /* NULL: at its end */
    ScanObject *next, **link; /* among its state's scans; link NULL: not there */
    void (*free)(BackScan *);
    bool limited;
    unsigned long long left; /* pairs it may still give, if limited */
};

/* An operation of a back end. It has the engine's depth, however deep the VM is, so that none of them ends in a
 * RecursionError where another would not. While it lasts the state is busy: what it calls may run a finalizer of the VM. */
#define BEHIND(back, operation)                                                                                                  \
    ({                                                                                                                           \
        depth of_vm;                                                                                                             \
        depth_enter_engine(&of_vm);                                                                                              \
        (back)->busy = true;                                                                                                     \
        __auto_type outcome = (operation);                                                                                       \
        (back)->busy = false;                                                                                                    \
        depth_leave(&of_vm);                                                                                                     \
        outcome;                                                                                                                 \
    })

/* It costs this much gas. Sets the exception if there is none left. */
bool gas_refuses(BackObject *back, uint64_t amount);

/* It was given these bytes. Likewise. */
bool read_refuses(BackObject *back, PyObject *key, PyObject *value);

/* The limit that the transaction asks for: an int. -1 with an exception: also of the VM's, that it is none; or none is left. */
int gas_limit(BackObject *back, PyObject *limit);

/* Sets the exception if nothing may be done with this state (any more). */
bool state_refuses(StateObject *state);

/* The newest state that has not ended of those that this thread began, or NULL. */
StateObject *state_here(void);

PyObject *scan_new(StateObject *state, PyObject *low, PyObject *high, bool reverse, bool limited, unsigned long long limit);
void scan_end(ScanObject *scan);
PyObject *checkpoint_new(StateObject *state);

extern PyTypeObject *state_type, *scan_type, *checkpoint_type;
extern PyType_Spec state_spec, scan_spec, checkpoint_spec, plain_spec;

/* tp_hash and __reduce__ of all three: they belong to one execution, and mean nothing beside it. */
Py_hash_t no_hash(PyObject *self);
PyObject *no_copy(PyObject *self, PyObject *none);

#endif
