/* What ioi_vm.h says its tables are: abi.rs has them once more, up to ABI 3, and is refused where it does not agree. */
#include "ioi_vm.h"

_Static_assert(IOI_VM_ABI >= 3, "abi.rs is of ABI 3");

const size_t ioi_layout[] = {
    sizeof(ioi_field),
    sizeof(ioi_addition),
    sizeof(ioi_attribute),
    sizeof(ioi_outcome),
    offsetof(ioi_addition, delta),
    offsetof(ioi_addition, maximum),
    offsetof(ioi_attribute, negative),
    offsetof(struct ioi_state, scan),
    offsetof(struct ioi_state, charge),
    offsetof(struct ioi_state, emit),
    offsetof(ioi_ctx, proposer_len),
    offsetof(ioi_ctx, memory),
    offsetof(ioi_ctx, random),
    offsetof(ioi_outcome, output),
    offsetof(ioi_outcome, output_len),
    offsetof(ioi_results, output),
    offsetof(ioi_results, gas_used),
    offsetof(ioi_vm, execute),
    offsetof(ioi_vm, end_block),
    offsetof(ioi_vm, memory_new),
    offsetof(ioi_vm, begin_block),
};
const size_t ioi_layout_len = sizeof ioi_layout / sizeof *ioi_layout;
