"""`python -m headgate` is the command `headgate`."""

import sys

from headgate.cli import main

sys.exit(main())
