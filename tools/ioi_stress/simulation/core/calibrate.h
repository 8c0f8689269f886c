/* What the machine this runs on takes, measured: the first decile, nanoseconds. Real threads and real time. */
#ifndef IOI_SIMULATION_CALIBRATE_H
#define IOI_SIMULATION_CALIBRATE_H

#include <stdint.h>

/* A word handed from one core to another and back, halved: what moving its cache line takes. 0: there is but one core. */
uint64_t sim_measure_line(void);

/* A wake call that wakes a sleeper, and from there until it runs. */
void sim_measure_wake(uint64_t *call, uint64_t *latency);

/* What a sleep of a millisecond takes longer. */
uint64_t sim_measure_oversleep(void);

#endif
