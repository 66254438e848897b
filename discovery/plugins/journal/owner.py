"""`discovery restore` is often run by root, for a server that is not: what root makes in somebody's folder belongs to that user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":

    def give_to_owner(made: Path) -> None:
        """There is no root."""

else:

    def give_to_owner(made: Path) -> None:
        """`made` gets the owner and the group of the folder that it is in, if we are root. OSError."""
        if os.geteuid() == 0:
            folder = made.parent.stat()
            # That user may have put a link in its place meanwhile.
            os.chown(made, folder.st_uid, folder.st_gid, follow_symlinks=False)
