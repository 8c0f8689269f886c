/* What things cost in virtual time, nanoseconds. Calibrated (ioi_stress/simulation/calibration.py) or given. */
#ifndef IOI_SIMULATION_COSTS_H
#define IOI_SIMULATION_COSTS_H

#include <stdint.h>

typedef struct sim_costs {
    uint64_t line;       /* moving a cache line from one core to another */
    uint64_t work;       /* the engine's own work in an execution, what it does between cores left out */
    uint64_t sequential; /* the same of the sequential reference */
    uint64_t wake;       /* a wake call, for each sleeper it wakes */
    uint64_t latency;    /* from there until the sleeper runs */
    uint64_t call;       /* a system call that finds nothing to do */
    uint64_t pause;      /* one turn of a spin loop */
    uint32_t jitter;     /* executions differ by up to so many parts in a thousand, up and down */
} sim_costs;

enum {
    SIM_HIT = 1,      /* a load or store that stays in its core's cache */
    SIM_EXCHANGE = 5, /* an exchange that does */
    SIM_HOLD = 30,    /* who got a line exclusively keeps it at least so long */
    SIM_OVERLAP = 30, /* percent of a transfer that a load of ordinary data costs: the processor has several in flight */
};

#endif
