"""The `discovery` command. `commands` has all of them; here are the errors of each, and their exit status.

Exit status: 0 done; 1 what was asked failed, said in one line; 2 wrong arguments or settings; 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Sequence

from discovery.cli.errors import Failed, WrongArguments
from discovery.cli.logs import escaped
from discovery.core.errors import DiscoveryError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status. Arguments default to the process's own."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # whatever comes, in every locale
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given in ([], ["serve"]):
            _serve()
            return 0
        from discovery.cli.commands import call

        status = call(given)
        sys.stdout.flush()
    except DiscoveryError as error:
        return _exit_status(error)
    except KeyboardInterrupt:
        return 130
    except RecursionError:
        return _failed("what it was answered is nested too deeply to be shown", 1)
    except BrokenPipeError:  # `discovery audit | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail again at the end
        return _failed(f"the output cannot be written: {error.strerror}", 1)
    return status


def _serve() -> None:
    """As `discovery serve`, without the parser of the command line: to import that takes a tenth of the server's start."""
    gc.disable()  # until `gc_tuning` sees to it: nothing that is imported ends as garbage
    from discovery.cli.server import run

    run()


def _exit_status(error: DiscoveryError) -> int:
    if isinstance(error, (WrongArguments, Failed)):
        return _failed(escaped(str(error)), 2 if isinstance(error, WrongArguments) else 1)
    from discovery.system import env  # takes 0.1 s, which commands that need no settings need not pay

    return _failed(str(error), 2) if isinstance(error, env.SettingsError) else _failed(escaped(str(error)), 1)


def _failed(text: str, status: int) -> int:
    """One line, or one for each setting at fault, in one piece: the log's thread writes there, too. No stranger's text moves a cursor."""
    lines = "\n".join(map(escaped, text.split("\n")))
    sys.stderr.write(f"discovery: {lines}\n")
    return status
