#!/usr/bin/env python3
"""Write ``docs/interfaces.md`` from the definitions in ``msg/``, ``srv/`` and ``action/``.

    python tools/interface_docs.py

``test/tools/test_interface_docs.py`` holds that what is committed is what this writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = {
    "msg": ("",),
    "srv": ("Request", "Response"),
    "action": ("Goal", "Result", "Feedback"),
}
TITLES = {"action": "Actions", "srv": "Services", "msg": "Messages"}
_CONSTANT = re.compile(r"^(?P<type>\S+)\s+(?P<name>[A-Z][A-Z0-9_]*)\s*=\s*(?P<value>[^#]*?)\s*$")
_FIELD = re.compile(
    r"^(?P<type>\S+)\s+(?P<name>[a-z][a-z0-9_]*)(?:\s+(?P<default>[^#\s]\S*))?\s*$"
)


@dataclass
class Entry:
    """A field or constant.

    Attributes:
        value: Of a constant, or a field's default; may be empty.
    """

    type: str
    name: str
    value: str
    comment: list[str] = field(default_factory=list)


@dataclass
class Part:
    """A message, or one of the messages of a service or an action."""

    text: list[str] = field(default_factory=list)
    fields: list[Entry] = field(default_factory=list)
    constants: list[Entry] = field(default_factory=list)


def parse(text: str) -> list[Part]:
    """The parts of a definition.

    Raises:
        ValueError: If a line is not understood.
    """
    parts, last, gap = [Part()], None, True
    for line in text.splitlines():
        stripped = line.strip()
        if stripped == "---":
            parts.append(Part())
            last, gap = None, True
        elif not stripped:
            last, gap = None, True
        elif stripped.startswith("#"):
            comment = stripped.lstrip("# ").rstrip()
            # Indented, it goes on with the entry above; at the margin it is a remark.
            if last is not None and line[0].isspace():
                last.comment.append(comment)
            else:
                parts[-1].text.append(comment)
                gap = False
        else:
            code, _, comment = stripped.partition("#")
            last = _entry(code.strip(), parts[-1])
            if comment.strip():
                last.comment.append(comment.strip())
            gap = False
        if gap and parts[-1].text and parts[-1].text[-1]:
            parts[-1].text.append("")
    return parts


def _entry(code: str, part: Part) -> Entry:
    for pattern, entries, value in (
        (_CONSTANT, part.constants, "value"),
        (_FIELD, part.fields, "default"),
    ):
        match = pattern.match(code)
        if match:
            entries.append(Entry(match["type"], match["name"], match[value] or ""))
            return entries[-1]
    raise ValueError(f"not understood: {code!r}")


def document(root: Path = ROOT) -> str:
    """The whole page."""
    lines = [
        "# Interfaces",
        "",
        "Made from the definitions by `python tools/interface_docs.py`; edit those, not this.",
        "Every response and result carries `success`, `code` and `message`: a code other than",
        "`OK` stands for one subclass of `SelfGraspError`, and the message says what to do.",
        "Units are SI, frames are named in headers, poses of the hand are of the tool centre",
        "point. `docs/architecture.md` says which node offers what.",
        "",
    ]
    for kind, title in TITLES.items():
        files = sorted((root / kind).glob(f"*.{kind}"))
        lines += [f"## {title}", ""]
        links = (f"[{f.stem}](#selfgrasp{kind}{f.stem.lower()})" for f in files)
        lines += [" · ".join(links), ""]
        for file in files:
            lines += _section(kind, file)
    return "\n".join(lines).rstrip() + "\n"


def _section(kind: str, file: Path) -> list[str]:
    lines = [f"### selfgrasp/{kind}/{file.stem}", ""]
    for name, part in zip(PARTS[kind], parse(file.read_text()), strict=True):
        text = "\n".join(part.text).strip()
        if name:
            lines += [f"**{name}**", ""]
            if not part.fields and not part.constants:
                lines += ["Empty.", ""]
        lines += [text, ""] if text else []
        if part.fields:
            lines += ["| field | type | meaning |", "|---|---|---|"]
            lines += [
                f"| `{e.name}` | `{e.type}` | {_cell(e)}{_default(e)} |" for e in part.fields
            ]
            lines.append("")
        if part.constants:
            shown = (
                f"`{e.name}` = {e.value}" + (f" ({_cell(e).rstrip('.')})" if e.comment else "")
                for e in part.constants
            )
            lines += ["Constants: " + ", ".join(shown) + ".", ""]
    return lines


def _cell(entry: Entry) -> str:
    return " ".join(entry.comment).replace("|", "\\|")


def _default(entry: Entry) -> str:
    return f" Default: {entry.value}." if entry.value else ""


def main() -> None:
    """The command."""
    path = ROOT / "docs" / "interfaces.md"
    path.write_text(document())
    print(f"{path}: written")


if __name__ == "__main__":
    main()
