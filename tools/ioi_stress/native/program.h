/* The Program VM in C: the same transactions and the same results, to the byte, as ioi_stress.vm.Program.
 *
 * vm/encoding.py says what transactions look like and mean. Scans are not for VMs in C: a program that holds one, anywhere,
 * fails with code 3 before it does anything. Limits that are met fail as in Python (code 2, "LimitExceeded"). */
#ifndef IOI_STRESS_PROGRAM_H
#define IOI_STRESS_PROGRAM_H

#include "ioi_vm.h"

extern const ioi_vm ioi_program;

#endif
