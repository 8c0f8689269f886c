/* Every atomic operation of the core goes through this file.
 *
 * One place serves three readers. The machine: plain C11 atomics, which work between processes because the
 * words are lock-free (asserted below). The sanitizers: only operations on words, no fences, which they do
 * not see. Simulations, for which it is compiled with IOI_SIM: every operation tells them which word it is about,
 * and there they switch to another worker, kill this one (tests/core), or let time pass (ioi-stress simulate).
 *
 * Memory orders, chosen once:
 *   _load      acquire: what was written before the matching release is seen.
 *   _store     release: publishes bytes that nobody else changes any more.
 *   _relaxed   a hint or a word that only its owner writes; never decides a result.
 *   _xchg, _cas, _add, _or, _and   seq_cst. Wherever a worker announces something and then looks whether
 *              another one announced something meanwhile (execute and look at the token, go to sleep and
 *              look for work, insert and look for promotion), a plain release store followed by a load may be
 *              reordered, on x86 too; an exchange may not. The look that follows uses _load_sc.
 */
#ifndef IOI_ATOMICS_H
#define IOI_ATOMICS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic uint32_t a32;
typedef _Atomic uint64_t a64;

static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "words shared between processes must be lock-free");
static_assert(sizeof(a32) == 4 && sizeof(a64) == 8, "atomics must have the size of their words");

#ifdef IOI_SIM
uint64_t ioi_sim_load(const void *word, uint32_t size);
void ioi_sim_store(void *word, uint64_t value, uint32_t size);
void ioi_sim_exchange(const void *word); /* right before one */
void ioi_sim_touch(const void *bytes, uint64_t len, bool store);
#define IOI_LOAD(A, U, p, order) (U) ioi_sim_load(p, sizeof(U))
#define IOI_STORE(p, v, order) ioi_sim_store(p, v, sizeof(v))
#define IOI_EXCHANGE(p) ioi_sim_exchange(p)
#define IOI_TOUCH(bytes, len, store) ioi_sim_touch(bytes, len, store)
#else
#define IOI_LOAD(A, U, p, order) atomic_load_explicit((A *)p, order)
#define IOI_STORE(p, v, order) atomic_store_explicit(p, v, order)
#define IOI_EXCHANGE(p) ((void)0)
#define IOI_TOUCH(bytes, len, store) ((void)0)
#endif

#define IOI_DEFINE_ATOMICS(A, U)                                                                                                 \
    static inline U A##_load(const A *p) { return IOI_LOAD(A, U, p, memory_order_acquire); }                                     \
    static inline U A##_load_sc(const A *p) { return IOI_LOAD(A, U, p, memory_order_seq_cst); }                                  \
    static inline U A##_load_relaxed(const A *p) { return IOI_LOAD(A, U, p, memory_order_relaxed); }                             \
    static inline void A##_store(A *p, U v) { IOI_STORE(p, v, memory_order_release); }                                           \
    static inline void A##_store_relaxed(A *p, U v) { IOI_STORE(p, v, memory_order_relaxed); }                                   \
    static inline U A##_xchg(A *p, U v) {                                                                                        \
        IOI_EXCHANGE(p);                                                                                                         \
        return atomic_exchange_explicit(p, v, memory_order_seq_cst);                                                             \
    }                                                                                                                            \
    static inline bool A##_cas(A *p, U *expected, U v) {                                                                         \
        IOI_EXCHANGE(p);                                                                                                         \
        return atomic_compare_exchange_strong_explicit(p, expected, v, memory_order_seq_cst, memory_order_seq_cst);              \
    }                                                                                                                            \
    static inline U A##_add(A *p, U v) {                                                                                         \
        IOI_EXCHANGE(p);                                                                                                         \
        return atomic_fetch_add_explicit(p, v, memory_order_seq_cst);                                                            \
    }                                                                                                                            \
    static inline U A##_or(A *p, U v) {                                                                                          \
        IOI_EXCHANGE(p);                                                                                                         \
        return atomic_fetch_or_explicit(p, v, memory_order_seq_cst);                                                             \
    }                                                                                                                            \
    static inline U A##_and(A *p, U v) {                                                                                         \
        IOI_EXCHANGE(p);                                                                                                         \
        return atomic_fetch_and_explicit(p, v, memory_order_seq_cst);                                                            \
    }

IOI_DEFINE_ATOMICS(a32, uint32_t)
IOI_DEFINE_ATOMICS(a64, uint64_t)

/* Plain bytes that went from one core to another, written (`store`) or read: a simulation lets them cost what that does. */
static inline void ioi_touched(const void *bytes, uint64_t len, bool store) {
    (void)bytes, (void)len, (void)store;
    IOI_TOUCH(bytes, len, store);
}

/* Lower a word to `v` unless it is lower already. Returns true if this call lowered it. */
static inline bool a32_min(a32 *p, uint32_t v) {
    uint32_t seen = a32_load(p);
    while (seen > v)
        if (a32_cas(p, &seen, v)) return true;
    return false;
}

#endif
