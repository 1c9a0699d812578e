"""Run one command and print what it took: wall seconds, CPU seconds, peak memory in KiB, exit status.

It stands alone and imports next to nothing: a process starts with its parent's peak memory on its account, so the parent
of what is measured has to be small.
"""

import os
import sys
import time

null = os.open(os.devnull, os.O_RDWR)
streams = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
before = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=streams)
_, status, used = os.wait4(child, 0)
wall = time.perf_counter() - before
print(wall, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
