/* How deep the interpreter may call from here on, whatever lies above: a VM that recurses meets the limit at the same depth in
 * every process, and the engine beneath it (a read of the committed state) has room whatever the VM left. */
#ifndef IOI_DEPTH_H
#define IOI_DEPTH_H

#include "module.h"

/* C calls, which 3.12 and 3.13 count apart, from a constant that differs between builds (1,500 and more): less than any. 3.14 does
 * not count them but looks at the stack. */
enum { VM_C_DEPTH = 1000, ENGINE_DEPTH = 500 };

typedef struct {
    int limit, python, c; /* the thread's, before */
    bool enough;          /* it stayed as it was */
} depth;

/* The depth of a VM's call. -1 with RecursionError set if its caller has not left that much. Any other ends with
 * depth_leave. */
int depth_enter_vm(depth *before, int limit);
/* At least the depth the engine needs. */
void depth_enter_engine(depth *before);
/* As it was; a limit that was set meanwhile is forgotten. */
void depth_leave(const depth *before);

/* apart.c: a vectorcall at the depth of a VM's call and with context variables of its own. */
PyObject *apart(long limit, PyObject *function, PyObject *const *args, size_t count);

#endif
