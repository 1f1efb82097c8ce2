"""What the documents show is what the scripts print today, and what they point to exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "documents.py"))
every_document = pytest.mark.parametrize(
    "document", [path.relative_to(ROOT).as_posix() for path in TOOL["documents"]()]
)


@every_document
def test_shown_code_and_output_are_current(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert text == TOOL["refreshed"](text), "run `make docs` and read what changed"


@every_document
def test_links_to_files_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert not [link for link in targets if not (ROOT / document).parent.joinpath(link).exists()]


def test_make_commands_named_in_the_documents_exist() -> None:
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for path in TOOL["documents"]()]
    named = {name for text in texts for name in re.findall(r"\bmake ([a-z]+)\b(?=`|\n| {2,})", text)}
    assert named <= rules


def test_the_readme_shows_real_output() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search("<!-- output: ", text)
