/* What a transaction costs beside its reads and writes. vm/cost.py explains how a burn is measured, and why so. */
#ifndef IOI_STRESS_COST_H
#define IOI_STRESS_COST_H

#include <stdint.h>

void program_burn(uint64_t nanoseconds);
void program_sleep(uint64_t nanoseconds);

#endif
