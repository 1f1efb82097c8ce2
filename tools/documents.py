"""Rewrite the code and the output that the documents show, from the scripts themselves (`make docs`).

In a Markdown file, the fenced block below `<!-- code: path -->` holds that script, and the fenced block below
`<!-- output: path -->` what it prints. Nobody copies a figure by hand, so no figure can go stale.
"""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(?P<marker><!-- (?P<kind>code|output): (?P<script>\S+) -->\n+```\w*\n).*?(?P<end>^```$)",
    re.DOTALL | re.MULTILINE,
)


def documents() -> list[Path]:
    """Every Markdown file that may show a script or its output."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def code(script: Path) -> str:
    """The script below its docstring."""
    return re.sub(r'\A""".*?"""\n+', "", script.read_text(encoding="utf-8"), flags=re.DOTALL)


@cache
def output(script: Path) -> str:
    """What the script prints."""
    run = subprocess.run([sys.executable, script], capture_output=True, encoding="utf-8", check=True)
    return "\n".join(line.rstrip() for line in run.stdout.strip("\n").splitlines()) + "\n"


def refreshed(text: str) -> str:
    """A document with every shown script and output as they are now."""

    def block(found: re.Match[str]) -> str:
        show = code if found["kind"] == "code" else output
        return found["marker"] + show(ROOT / found["script"]) + found["end"]

    return BLOCK.sub(block, text)


def main() -> None:
    """Rewrite the documents that show something old."""
    for document in documents():
        text = document.read_text(encoding="utf-8")
        if (new := refreshed(text)) != text:
            document.write_text(new, encoding="utf-8")
            print(f"rewrote {document.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
