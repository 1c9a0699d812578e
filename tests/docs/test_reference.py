"""The reference says what the code says: pages are made again and compared, and checked against what commands do."""

import re
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from homeport.commands.main import COMMANDS, cli
from scripts.reference import FOLDER, PAGES

REWRITE = "stale: run `python scripts/reference.py`"


@pytest.mark.parametrize("name", PAGES)
def test_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name](), REWRITE


def test_every_key_of_an_answer_has_a_meaning() -> None:
    rows = [line.split(" | ") for line in PAGES["json.md"]().splitlines() if line.startswith("| `")]
    bare = [key for key, _, meaning in rows if meaning.strip(" |") == ""]
    assert not bare, "describe them at their fields, or in scripts/reference_meanings.py"


def every_command() -> list[tuple[str, click.Command]]:
    root = click.Context(cli, info_name="homeport")
    found = []
    for section in COMMANDS.values():
        for name in section:
            command = cli.get_command(root, name)
            assert command is not None
            found.append((name, command))
            if isinstance(command, click.Group):
                found += [(f"{name} {sub}", c) for sub, c in command.commands.items()]
    return found


def test_every_command_and_option_is_documented() -> None:
    page = (FOLDER / "commands.md").read_text("utf-8")
    for name, command in every_command():
        assert f"\n### homeport {name}\n" in page
        for param in command.params:
            if isinstance(param, click.Option):
                assert any(f"{option} " in page or f"{option}`" in page for option in param.opts), (
                    name,
                    param.opts,
                )


def homeport(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "homeport", *args],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )


def test_the_variables_are_those_that_commands_read() -> None:
    page = (FOLDER / "commands.md").read_text("utf-8")
    for variable in ("HOMEPORT_GPUS_LIST_OUTPUT_FORMAT", "HOMEPORT_GPU"):
        assert f"`{variable}`" in page
    answer = homeport("gpus", "list", HOMEPORT_GPUS_LIST_OUTPUT_FORMAT="json")
    assert answer.returncode == 0, answer.stderr
    assert "gpus" in msgspec.json.decode(answer.stdout)
    fields = (
        "--model",
        "Qwen/Qwen3-8B",
        "--requests-per-day",
        "1",
        "--input-tokens",
        "1",
        "--output-tokens",
        "1",
    )
    answer = homeport("config", *fields, HOMEPORT_GPU="L4")
    assert re.search(r"models\[0\]\.gpu +L4 +HOMEPORT_GPU\n", answer.stdout), answer.stdout


def test_script_finds_a_stale_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts import reference

    for name in PAGES:
        (tmp_path / name).write_text((FOLDER / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    before = set(reference.stale())
    page = tmp_path / "spec.md"
    page.write_text(page.read_text("utf-8").replace("Target", "Goal"), "utf-8")
    assert set(reference.stale()) == before | {"spec.md"}
