"""The how-to names every check and every cause that doctor knows, and no other."""

import re

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
