"""What holds for every test: which ones run, and how Hypothesis looks for examples."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.testbed.fixtures"]

# A busy machine is slow, not wrong. In CI the examples are the same each time, so that a change is judged by what it
# changes; elsewhere they are new each time, and find what nobody thought of.
settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("default")

# A shell starts what runs in its background with SIGINT ignored, and every process of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LEFT_OUT = {
    "cluster": "tests against a real control plane: uv run pytest -m cluster",
    "engine": "tests against a real engine: uv run pytest -m engine",
}
"""Marks of tests that run only when they are asked for with -m, and how to run them."""

COUNTS = pytest.StashKey[dict[str, int]]()


def asked_for(config: pytest.Config, mark: str) -> bool:
    """Whether -m asks for tests of a mark."""
    words: str = config.option.markexpr or ""
    return mark in words and f"not {mark}" not in words


def pytest_configure(config: pytest.Config) -> None:
    """Build what the testbed needs before the first test, where its progress can be seen: not inside a test."""
    worker = hasattr(config, "workerinput")
    given = "HOMEPORT_TEST_KUBECONFIG" in os.environ
    if asked_for(config, "cluster") and not worker and not given and not config.option.collectonly:
        from tests.testbed.build import ensure

        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            ensure()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not asked for."""
    out = {mark for mark in LEFT_OUT if not asked_for(config, mark)}
    kept, dropped, counts = [], [], dict.fromkeys(LEFT_OUT, 0)
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if found := marks & out:
            dropped.append(item)
            counts[min(found)] += 1
        else:
            kept.append(item)
    config.stash[COUNTS] = counts
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this worker, if one did, what was left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(COUNTS, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Take over what a worker left out: all workers collect the same tests."""
    output: dict[str, dict[str, int]] = getattr(node, "workeroutput", {})
    if "left_out" in output:
        node.config.stash[COUNTS] = output["left_out"]  # type: ignore[attr-defined]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what did not run, and how to run it."""
    for mark, count in config.stash.get(COUNTS, {}).items():
        if count:
            terminalreporter.write_line(f"left out: {count} {LEFT_OUT[mark]}")
