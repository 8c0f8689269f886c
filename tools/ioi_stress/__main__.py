import sys

from ioi_stress.cli import main

sys.exit(main())
