"""Processes that end with the tests, whatever ends the tests."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

PR_SET_PDEATHSIG = 1

Found = TypeVar("Found")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until(what: Callable[[], Found], seconds: float, says: str, every: float = 0.1) -> Found:
    """What a question answers once it is true; raises TimeoutError with a word after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {says}")
        time.sleep(every)
    return found


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One program, its arguments and its log; it can be ended and started again with the same arguments."""

    def __init__(
        self, arguments: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it. The kernel kills it when the thread that started it ends, so that a crash leaves nothing behind.

        So start it from a thread that lives as long as it is needed: the main one.
        """
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        self.environment = {**os.environ, **(environment or {})}
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as out:
            return subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
                cwd=self.log.parent,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    @property
    def name(self) -> str:
        """The program's name."""
        return Path(self.arguments[0]).name

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def check(self) -> None:
        """Raise RuntimeError with the end of the log if it ended by itself."""
        if not self.alive():
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End it at once, and what it started."""
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Start it again, as it was started; it dies with the thread that calls this."""
        self.kill()
        self.process = self._start()

    def pause(self) -> None:
        """Stop it where it is: it answers nothing, and its connections stay open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)
