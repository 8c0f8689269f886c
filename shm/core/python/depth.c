/* See depth.h. The counters are public fields of the thread's state, and no others of it are touched. */
#include "depth.h"

#define C_APART (PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030e0000)
#if PY_VERSION_HEX >= 0x030c0000
static int *python_left(PyThreadState *thread) { return &thread->py_recursion_remaining; }
#elif PY_VERSION_HEX >= 0x030b0000
static int *python_left(PyThreadState *thread) { return &thread->recursion_remaining; }
#endif

static depth now(PyThreadState *thread) {
    depth at = {.limit = Py_GetRecursionLimit()};
#if C_APART
    at.c = thread->c_recursion_remaining;
#endif
#if PY_VERSION_HEX >= 0x030b0000
    at.python = *python_left(thread);
#else
    at.python = at.limit - thread->recursion_depth; /* 3.10 counts up, Python and C together */
#endif
    return at;
}

/* Whether the engine has the depth it needs: nearly always. */
static bool enough(PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030b0000
    int python = *python_left(thread);
#else
    int python = Py_GetRecursionLimit() - thread->recursion_depth;
#endif
#if C_APART
    if (thread->c_recursion_remaining < ENGINE_DEPTH) return false;
#endif
    return python >= ENGINE_DEPTH;
}

static void set(PyThreadState *thread, const depth *to) {
    if (Py_GetRecursionLimit() != to->limit) Py_SetRecursionLimit(to->limit);
#if C_APART
    thread->c_recursion_remaining = to->c;
#endif
#if PY_VERSION_HEX >= 0x030b0000
    *python_left(thread) = to->python;
#else
    thread->recursion_depth = to->limit - to->python;
#endif
}

int depth_enter_vm(depth *before, int limit) {
    PyThreadState *thread = PyThreadState_Get();
    *before = now(thread);
#if C_APART
    if (before->c < VM_C_DEPTH) {
        PyErr_SetString(PyExc_RecursionError, "the engine was called from too deep within C calls to execute a VM there");
        return -1;
    }
#endif
    set(thread, &(depth){.limit = limit, .python = limit, .c = VM_C_DEPTH});
    return 0;
}

void depth_enter_engine(depth *before) {
    PyThreadState *thread = PyThreadState_Get();
    if ((before->enough = enough(thread))) return;
    *before = now(thread);
    int python = before->python < ENGINE_DEPTH ? ENGINE_DEPTH : before->python;
    int c = before->c < ENGINE_DEPTH ? ENGINE_DEPTH : before->c;
    set(thread, &(depth){.limit = before->limit, .python = python, .c = c});
}

void depth_leave(const depth *before) {
    if (!before->enough) set(PyThreadState_Get(), before);
}
