"""The how-to names every check and every cause that doctor knows, and no other."""

import ast
import re
from pathlib import Path

from homeport.cluster import doctor
from homeport.cluster.doctor import LIVE, PREFLIGHT
from homeport.cluster.doctor_patterns import PATTERNS
from scripts.documents import ROOT


def test_the_page_names_every_check_and_every_cause() -> None:
    page = (ROOT / "docs" / "how-to" / "read-doctor.md").read_text("utf-8")
    before, _, causes = page.partition("## The engines' words")
    checks = before.partition("## The checks")[2]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", checks, re.M)) == set(PREFLIGHT) | set(LIVE)
    named = [row.split(" | ")[0] for row in causes.splitlines() if row.startswith("| `")]
    assert {name for cell in named for name in re.findall(r"`([a-z-]+)`", cell)} == {p.id for p in PATTERNS}


def test_every_finding_that_is_not_ok_says_where_why_and_what_to_do() -> None:
    """As the code says it: no test can bring all of them about."""
    seen = 0
    for file in Path(doctor.__file__).parent.glob("doctor_*.py"):
        for call in (
            one for one in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(one, ast.Call)
        ):
            said = {keyword.arg: keyword.value for keyword in call.keywords}
            if not {"severity", "what"} <= set(said) or ast.unparse(call.func) == "Word":
                continue  # `doctor_scaling` adds the command to what a word means
            severity = said["severity"]
            if isinstance(severity, ast.Constant) and severity.value == "ok":
                continue
            seen += 1
            where = f"{file.name}:{call.lineno}"
            assert "why" in said, where
            assert {"advice", "repair"} & set(said) or ast.unparse(call.func) == "wrong", where
    assert seen > 40
