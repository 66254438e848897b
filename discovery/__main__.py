"""`python -m discovery` is `discovery`."""

import sys

from discovery.cli import main

sys.exit(main())
