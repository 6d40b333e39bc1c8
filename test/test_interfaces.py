"""Definitions agree with each other, with the build, and with the Python types."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

import pytest

from selfgrasp_nodes import errors, types

ROOT = Path(__file__).resolve().parent.parent
DEFINITIONS = sorted(p for kind in ("msg", "srv", "action") for p in (ROOT / kind).iterdir())
RESPONDING = [path for path in DEFINITIONS if path.suffix != ".msg"]
_CONSTANT = re.compile(r"^(u?int\d+)\s+([A-Z][A-Z0-9_]*)\s*=\s*(-?\d+)")
_FIELD = re.compile(r"^([\w/]+(?:\[[^\]]*\])?)\s+([a-z][a-z0-9_]*)\s*(#.*)?$")


def _constants(text: str) -> dict[str, int]:
    lines = (_CONSTANT.match(line) for line in text.splitlines())
    return {m.group(2): int(m.group(3)) for m in lines if m}


def _fields(text: str) -> list[str]:
    return [m.group(2) for m in (_FIELD.match(line) for line in text.splitlines()) if m]


def _message(name: str) -> str:
    return (ROOT / "msg" / f"{name}.msg").read_text()


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda p: p.name)
def test_every_definition_is_built_and_explained(path: Path) -> None:
    listed = (ROOT / "CMakeLists.txt").read_text()
    assert f'"{path.parent.name}/{path.name}"' in listed
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    "path", [p for p in DEFINITIONS if p.suffix != ".msg"], ids=lambda p: p.name
)
def test_responses_say_how_it_went_in_common_codes(path: Path) -> None:
    known = _constants(_message("Status"))
    response = path.read_text().split("\n---\n")[1]
    own = _constants(response)
    assert own.get("OK") == 0
    assert len(own) > 1, "names no code that it can fail with"
    assert own.items() <= known.items()
    assert _fields(response)[:3] == ["success", "code", "message"]


@pytest.mark.parametrize(
    ("name", "enum"),
    [("Candidate", types.Primitive), ("Outcome", types.OutcomeCode), ("Phase", types.PhaseCode)],
)
def test_constants_equal_the_python_enumerations(name: str, enum: type[IntEnum]) -> None:
    assert _constants(_message(name)) == {member.name: member.value for member in enum}


def test_every_error_has_a_code() -> None:
    codes = set(_constants(_message("Status"))) - {"OK", "INTERNAL_ERROR"}
    classes = [
        c.__name__
        for c in errors.SelfGraspError.__subclasses__()
        if c.__module__ == errors.__name__ and c is not errors.CalibrationFailed
    ]  # no node calibrates: that error never crosses the graph
    named = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper() for name in classes}
    assert named == codes


@pytest.mark.parametrize("name", ["Candidate", "Outcome", "Execution", "SensorTrace", "Trial"])
def test_messages_hold_what_the_python_types_hold(name: str) -> None:
    renamed = {
        "Candidate": {"pixel": {"u", "v"}},
        "SensorTrace": {"time": {"stamps"}},
        # The pictures themselves are in the bag.
        "Trial": {"before": set(), "after": set()},
    }
    fields = set(_fields(_message(name)))
    for attribute in getattr(types, name).__dataclass_fields__:
        assert renamed.get(name, {}).get(attribute, {attribute}) <= fields, attribute
