"""python -m ioi_exec: the command line."""

import sys

from ioi_exec.cli import main

sys.exit(main())
