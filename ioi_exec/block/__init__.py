"""What goes into a block and what comes out of it: header, contexts, receipts, results, records."""
