"""The pulumi program as a child of its own: Ctrl-C lets it finish its running steps and keep its state whole."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any

from pulumi import automation

from homeport.errors import EnvironmentProblem

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def pulumi_cli() -> str | None:
    """The path of the pulumi program, if it is installed."""
    return shutil.which("pulumi")


def needed(operation: str) -> str:
    """The path of the pulumi program. Raises EnvironmentProblem where there is none."""
    found = pulumi_cli()
    if found is None:
        raise EnvironmentProblem(
            f"`homeport {operation}` needs the pulumi program, which is not on PATH",
            help="install it: https://www.pulumi.com/docs/install/",
        )
    return found


class Cli(automation.PulumiCommand):
    """The pulumi program, started in a session of its own, so that a terminal's Ctrl-C reaches it through us alone.

    `more` are arguments that the SDK's functions do not know, by subcommand. `interrupted` counts the signals.
    """

    def __init__(self) -> None:
        """Check the program's version. Raises EnvironmentProblem where it is too old for the SDK."""
        try:
            super().__init__()
        except automation.InvalidVersionError as error:
            raise EnvironmentProblem(
                f"this pulumi program does not go with the installed SDK: {error}",
                help="update one of them: https://www.pulumi.com/docs/install/",
            ) from error
        self.more: dict[str, tuple[str, ...]] = {}
        self.interrupted = 0
        self._process: subprocess.Popen[str] | None = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> automation.CommandResult:
        """Run one subcommand to its end; as the SDK's own, but for the session. Raises CommandError."""
        command = [
            self.command,
            "--non-interactive",
            *args,
            *(extra for name in args[:1] for extra in self.more.get(name, ())),
        ]
        env = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        chunks: tuple[list[str], list[str]] = ([], [])
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            self._process = process
            streams = zip((process.stdout, process.stderr), (on_output, on_error), chunks, strict=True)
            threads = [threading.Thread(target=_read, args=each) for each in streams]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            code = process.wait()
            self._process = None
        result = automation.CommandResult(stdout="\n".join(chunks[0]), stderr="\n".join(chunks[1]), code=code)
        if code != 0:
            raise automation.errors.create_command_error(result)
        return result

    @contextmanager
    def passing_signals(self, say: Callable[[str], None]) -> Iterator[None]:
        """Hand the user's signals to the running program: one lets it finish its running steps, two stop it at once."""

        def pass_on(_number: int, _frame: FrameType | None) -> None:
            self.interrupted += 1
            process = self._process
            if process is None:
                raise KeyboardInterrupt
            if self.interrupted == 1:
                say("stopping after the steps that are running; once more stops at once")
            process.send_signal(signal.SIGINT if self.interrupted < 3 else signal.SIGKILL)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, pass_on) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _read(stream: IO[str], told: Callable[[str], Any] | None, kept: Sequence[str]) -> None:
    assert isinstance(kept, list)
    for line in stream:
        text = line.rstrip()
        if told:
            told(text)
        kept.append(text)
