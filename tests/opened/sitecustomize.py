"""Imported by every Python that finds this folder on its path: writes down which files it opens.

The first line of a file says who started this process and where its output goes, which tells the job. Up to an empty
line follows what the parent of a fork had opened before it.
"""

import os
import sys


def _where(stream):
    try:
        return os.readlink(f"/proc/self/fd/{stream}")
    except OSError:
        return ""


if "OPENED" in os.environ:
    folder, seen, own, listings = os.environ["OPENED"], {}, set(), {}

    def note(event, arguments):
        if event == "open" and isinstance(arguments[0], str) and arguments[0] != os.devnull:
            path, process = arguments[0], os.getpid()
            if process not in listings:  # first after the start, or after a fork
                listings[process] = None  # the next line opens a file too
                file = os.path.join(folder, f"{process}.txt")
                listings[process] = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                told = [f"{os.getppid()} {_where(1)}", *map(os.path.abspath, seen), "", os.path.abspath(path)]
                own.clear()
            elif path not in own and listings[process] is not None:
                told = [os.path.abspath(path)]
            else:
                return
            seen.setdefault(path)
            own.add(path)
            os.write(listings[process], "".join(f"{line}\n" for line in told).encode("utf-8", "surrogateescape"))

    note("open", (__file__,))
    sys.addaudithook(note)
