"""Run by test_pinned.py: owns the state argv[1] and does what each line says, in between a read-only store's reads."""

from __future__ import annotations

import sys

from ioi_storage import Store
from ioi_storage.history import rollback

with Store.open(sys.argv[1]) as store:
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "commit":
            staged = store.stage(sorted((b"k%d" % i, numbers[0].encode()) for i in range(30)))
            store.commit(staged, receipts_root=bytes(32), height=1, header=b"", transactions=0, failed=0)
        elif command == "prune":
            store.prune(1)
        elif command == "damage":  # the last row of table `values`
            with store._handle.env.begin(write=True) as txn, txn.cursor(store._handle.tables["values"]) as cursor:
                cursor.last()
                cursor.put(cursor.key(), cursor.value()[:-1] + b"?")
        elif command == "intend":  # and die
            rollback.intend(store._handle.begin, store._handle.tables, int(numbers[0]))
        else:
            store.rollback(int(numbers[0]))
        print(store.version, flush=True)
