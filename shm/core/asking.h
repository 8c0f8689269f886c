/* What a native VM is asked between blocks, as a VM whose transactions are the questions. */
#ifndef IOI_ASKING_H
#define IOI_ASKING_H

#include "vm_abi.h"

typedef enum ioi_question { IOI_ASK_CHECK = 1, IOI_ASK_QUERY = 2 } ioi_question;

typedef struct ioi_asking {
    ioi_vm vm; /* first: the one to execute */
    const ioi_vm *asked;
    const char *path; /* of a query */
    size_t path_len;
    uint64_t index; /* the context's tx_index */
} ioi_asking;

/* False: the VM answers no such question. `asking` must stay where it is. */
bool ioi_asking_init(ioi_asking *asking, const ioi_vm *asked, ioi_question question);

#endif
