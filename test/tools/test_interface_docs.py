"""docs/interfaces.md says what the definitions say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import interface_docs

ROOT = interface_docs.ROOT
DEFINITIONS = sorted(p for kind in interface_docs.PARTS for p in (ROOT / kind).iterdir())


def test_it_is_current() -> None:
    written = (ROOT / "docs" / "interfaces.md").read_text()
    assert written == interface_docs.document(), "run: python tools/interface_docs.py"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda p: p.name)
def test_every_line_of_a_definition_is_shown(path: Path) -> None:
    section = "\n".join(interface_docs._section(path.parent.name, path))
    for line in path.read_text().splitlines():
        code, _, comment = line.partition("#")
        words = code.split()
        if len(words) >= 2:
            assert f"`{words[1].split('=')[0]}`" in section
        assert comment.strip().rstrip(".").replace("|", "\\|") in section


def test_parts_and_comments() -> None:
    goal, result = interface_docs.parse(
        "# What it is.\n\nuint8 A = 0  # First.\n"
        "float64 x 1.5  # One\n           # and more.\n---\nbool y\n"
    )
    assert goal.text == ["What it is.", ""]
    assert [(c.name, c.value, c.comment) for c in goal.constants] == [("A", "0", ["First."])]
    assert goal.fields[0].comment == ["One", "and more."] and goal.fields[0].value == "1.5"
    assert result.fields[0].name == "y"
    with pytest.raises(ValueError, match="not understood"):
        interface_docs.parse("nonsense")
