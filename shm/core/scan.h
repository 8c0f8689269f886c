/* An ordered scan of the state as one transaction sees it: its own writes as of the call, over the block's, over the committed
 * state's. Each key below the transaction is pinned as it is met, and only then counted as reached: should the scan have to
 * stop there, nothing is claimed about it. */
#ifndef IOI_SCAN_H
#define IOI_SCAN_H

#include "view.h"

/* Open one: low to below high, NULL = no bound. Belongs to the view, which ends it with its incarnation. IOI_OK or IOI_STOP. */
int ioi_scan_open(ioi_view *view, const uint8_t *low, size_t low_len, const uint8_t *high, size_t high_len, bool reverse,
                  ioi_scan **scan);

/* The next pair (IOI_OK; valid until the next operation on the view), IOI_ABSENT at the end. After IOI_STOP it may be called
 * again, when what view->stop says is done, and goes on where it was. */
int ioi_scan_next(ioi_view *view, ioi_scan *scan, ioi_pair *pair);

void ioi_scan_end(ioi_view *view, ioi_scan *scan);
void ioi_scans_end(ioi_view *view); /* all of them */

#endif
