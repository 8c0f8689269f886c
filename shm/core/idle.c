#include "idle.h"

#include "wait.h"

enum { PARKED_WAKES = 2 }; /* of the parked, those that each one called back calls */

void ioi_notify(ioi_sched *sched, uint32_t sleepers) {
    if (a32_load_sc(&sched->sleepers) == 0) return;
    a32_add(&sched->work_seq, 1);
    ioi_futex_wake(&sched->work_seq, sleepers);
}

/* Who parks raises `parked` and then looks at `active`; who changes `active` does so first and then looks at `parked`. All seq_cst: one
 * of the two sees the other. The new number is for those that looked and are about to sleep. */
static void wake_parked(ioi_sched *sched, uint32_t sleepers) {
    if (a32_load_sc(&sched->parked) == 0) return;
    a32_add(&sched->park_seq, 1);
    ioi_futex_wake(&sched->park_seq, sleepers);
}

void ioi_set_active(ioi_sched *sched, uint32_t workers, uint32_t active) {
    uint32_t before = a32_load(&sched->active);
    if (active == before || before > workers || !a32_cas(&sched->active, &before, active)) return;
    if (active > before) wake_parked(sched, PARKED_WAKES);
}

void ioi_unpark(ioi_sched *sched) {
    a32_xchg(&sched->active, UINT32_MAX);
    wake_parked(sched, UINT32_MAX);
}

void ioi_park(ioi_sched *sched, uint32_t workers) {
    uint32_t parked = a32_load(&sched->parked);
    if (workers - parked <= a32_load(&sched->active) || !a32_cas(&sched->parked, &parked, parked + 1)) return;
    ioi_notify(sched, 1);
    for (;;) {
        uint32_t seq = a32_load_sc(&sched->park_seq);
        parked = a32_load_sc(&sched->parked);
        if (workers - parked >= a32_load_sc(&sched->active)) ioi_futex_wait(&sched->park_seq, seq, 0);
        else if (a32_cas(&sched->parked, &parked, parked - 1)) break;
    }
    /* Those called back call each other. */
    if (workers - a32_load_sc(&sched->parked) < a32_load_sc(&sched->active)) wake_parked(sched, PARKED_WAKES);
}
