"""The protocols of Zeng (2018): rows, what is kept of them, tables and plots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfgrasp_nodes.errors import InvalidConfig, InvalidScene, StorageError, UnknownName
from selfgrasp_nodes.learning.evaluation import EvaluationConfig
from selfgrasp_nodes.learning.vpg import Vpg
from selfgrasp_nodes.learning.vpg_plots import plot
from selfgrasp_nodes.learning.vpg_report import about, as_markdown, tables
from selfgrasp_nodes.learning.vpg_rows import Row, check_rows, parse_row
from selfgrasp_nodes.policies import registry
from selfgrasp_nodes.policies.antipodal import Antipodal, AntipodalParams
from selfgrasp_nodes.policies.checkpoints import Card, GripperCard
from selfgrasp_nodes.robots import load_robot

SCENES = Path(__file__).parents[1] / "cli" / "data" / "two_scenes.json"
HARD = EvaluationConfig(runs=2, seed=7, scenes=SCENES, workers=1, actions_per_object=2)


class LearntParams(AntipodalParams):
    checkpoint: str = ""


class Learnt(Antipodal):
    """Takes checkpoints as learnt policies do; grasps as the heuristic."""

    name = "learnt-for-test"
    Params = LearntParams


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """Its cards; their weights do not matter here."""
    monkeypatch.setattr(registry, "_POLICIES", dict(registry._POLICIES))
    registry.register(Learnt)
    files = []
    for number in (1, 2, 3):
        files.append(tmp_path / f"seed{number}.yaml")
        write_card(files[-1], f"{number}" * 64)
    return files


def write_card(file: Path, digest: str) -> None:
    gripper = GripperCard.of(load_robot("ur5_rg2").arm().gripper)
    card = Card(
        policy=Learnt.name, network={}, input={}, gripper=gripper, robot="ur5_rg2", views=()
    )
    file.write_text(card.model_copy(update={"sha256": digest}).as_yaml())


def measured(vpg: Vpg) -> dict:
    """Run what is not done yet; the results."""
    for member in vpg.members:
        member.evaluation.run(lambda _, m=member: m.put(m.evaluation.report))
        member.put(member.evaluation.report)
    assert vpg.complete
    return vpg.results()


def left(vpg: Vpg) -> list[int]:
    return [len(m.evaluation.jobs) - len(m.evaluation.results) for m in vpg.members]


def test_a_row_is_read_as_it_is_written() -> None:
    row = parse_row("pushes too: antipodal+push push_below=0.3 'push={length: 0.05}'")
    assert (row.name, row.policy) == ("pushes too", "antipodal+push")
    assert row.parameters == {"push_below": 0.3, "push": {"length": 0.05}}
    row = parse_row("grasps alone: antipodal+push primitives=grasp")
    assert row.primitives == ("grasp",) and row.parameters == {}
    assert parse_row("oracle pushes=false") == Row(
        "oracle pushes=false", "oracle", {"pushes": False}
    )
    seeds = parse_row("learnt: patch checkpoint=a.yaml,b.yaml rerank=0")
    assert [m["checkpoint"][-6:] for m in seeds.members()] == ["a.yaml", "b.yaml"]
    assert all(m["rerank"] == 0 for m in seeds.members())


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("x: no-such", UnknownName, "unknown policy 'no-such'; valid: .*antipodal"),
        ("x: ", InvalidConfig, "names no policy; write 'NAME: POLICY"),
        ("x: antipodal depth", InvalidConfig, "'depth' is no key=value"),
        ("x: antipodal depth='", InvalidConfig, "cannot be read"),
        ("x: antipodal checkpoint=a.yaml", InvalidConfig, "takes no checkpoint"),
    ],
)
def test_wrong_rows_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse_row(text)


def test_rows_must_differ_and_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="name them"):
        check_rows([parse_row("A b: antipodal"), parse_row("a-B: oracle")])
    with pytest.raises(InvalidConfig, match="name them"):
        check_rows([parse_row("antipodal"), Row("antipodal", "antipodal")])
    with pytest.raises(InvalidConfig, match="nothing to measure"):
        check_rows([])
    for row, error, message in (
        ("x: antipodal depht=1", InvalidConfig, "valid parameters: .*depth"),
        ("x: oracle pushs=no", InvalidConfig, "pushs.*pushes"),
        ("x: antipodal primitives=throw", UnknownName, "throw.*grasp, push"),
        ("x: patch checkpoint=none.yaml", StorageError, "none"),
    ):
        with pytest.raises(error, match=message):
            Vpg("vpg-hard", [parse_row(row)], HARD, tmp_path)
    assert not list(tmp_path.iterdir())


def test_scenes_that_interpenetrate_or_have_unknown_keys_are_refused(tmp_path: Path) -> None:
    content = json.loads(SCENES.read_text())
    for change, message in (
        ({"position": [0.06, 0.08, 0.02]}, "interpenetrate: .*table"),
        ({"colour": "red"}, "unknown key colour; valid: color"),
    ):
        bad = json.loads(json.dumps(content))
        bad["scenes"][0]["objects"][0] |= change
        file = tmp_path / "bad.json"
        file.write_text(json.dumps(bad))
        config = EvaluationConfig(**{**vars(HARD), "scenes": file})
        with pytest.raises(InvalidScene, match=message):
            Vpg("vpg-hard", [parse_row("antipodal")], config, tmp_path / "out")
    config = EvaluationConfig(**{**vars(HARD), "scenes": None})
    with pytest.raises(InvalidConfig, match="needs a scene file"):
        Vpg("vpg-hard", [parse_row("antipodal")], config, tmp_path / "out")


def test_rows_are_measured_kept_and_shown(tmp_path: Path) -> None:
    said: list[str] = []
    rows = [parse_row("the oracle: oracle"), parse_row("random-roi")]
    first = measured(Vpg("vpg-hard", rows, HARD, tmp_path, say=said.append))
    oracle, other = first["rows"]["the oracle"], first["rows"]["random-roi"]
    assert oracle["runs"] == other["runs"] == 4
    assert oracle["completion"]["value"] == 1.0 and oracle["completion"]["low"] < 0.5  # 2 scenes
    assert other["tries"] <= 2 * 2 * 2 + 2 * 2  # two tries an object
    assert set(oracle["by_scene"]) == {"a cube and a tile", "a cylinder alone"}
    seen = first["differences"]["random-roi"]["completion"]
    assert seen["value"] == pytest.approx(other["completion"]["value"] - 1.0)
    # Again: from the files.
    again = Vpg("vpg-hard", rows, HARD, tmp_path, strict=True, say=said.append)
    assert left(again) == [0, 0] and again.results() == first and not said
    # More runs go on; another limit is another configuration.
    more = EvaluationConfig(**{**vars(HARD), "runs": 3})
    assert left(Vpg("vpg-hard", rows, more, tmp_path, say=said.append)) == [2, 2] and not said
    other_limit = EvaluationConfig(**{**vars(HARD), "actions_per_object": 3})
    with pytest.raises(InvalidConfig, match=r"another configuration.*without --resume"):
        Vpg("vpg-hard", rows, other_limit, tmp_path, strict=True)
    assert left(Vpg("vpg-hard", rows, other_limit, tmp_path, say=said.append)) == [4, 4]
    assert len(said) == 2 and "made anew" in said[0]
    # As text and as pictures, with the paper beside it.
    text = as_markdown(first)
    for part in ("paper: VPG | 82.7 | 77.2 | 60.1", "a cylinder alone", "seeds 7 to 8"):
        assert part in text
    assert "scenes, not repeats" in about(first)
    titles = [title for title, _, _ in tables(first)]
    assert titles[0] == "In all" and any(title.startswith("Less 'the oracle'") for title in titles)
    for _, headings, lines in tables(first):
        assert all(len(line) == len(headings) for line in lines)
    files = plot(first, tmp_path)
    assert [file.name for file in files] == ["in_all.png", "by_scene.png"]
    assert all(file.read_bytes()[1:4] == b"PNG" for file in files)
    json.dumps(first)


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    said: list[str] = []
    rows = [parse_row("oracle")]
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "oracle.json").write_text('{"configuration": ')
    assert left(Vpg("vpg-hard", rows, HARD, tmp_path, say=said.append)) == [4] and len(said) == 1
    with pytest.raises(InvalidConfig, match="damaged"):
        Vpg("vpg-hard", rows, HARD, tmp_path, strict=True)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("in the way")
    (member,) = Vpg("vpg-hard", [parse_row("oracle")], HARD, tmp_path, say=str).members
    with pytest.raises(StorageError, match="cannot be written"):
        member.put(member.evaluation.report)


def test_training_seeds_are_one_row_and_weights_are_what_counts(
    learnt: list[Path], tmp_path: Path
) -> None:
    config = EvaluationConfig(runs=1, objects=1, seed=3, workers=1, actions_per_object=2)
    row = parse_row(f"learnt: {Learnt.name} checkpoint={','.join(map(str, learnt))}")
    out = tmp_path / "out"
    results = measured(Vpg("vpg-random", [row], config, out))
    found = results["rows"]["learnt"]
    assert found["training_seeds"] == 3 == found["runs"] == len(found["by_training_seed"])
    assert len(set(found["configurations"])) == 3
    assert found["by_scene"] == {} and results["about"]["objects"] == 1
    assert {file.name for file in (out / "rows").iterdir()} == {
        "learnt-1.json",
        "learnt-2.json",
        "learnt-3.json",
    }
    assert "By training seed" in as_markdown(results)
    # Moved weights are the same weights; other weights in the same place are not.
    moved = tmp_path / "moved.yaml"
    learnt[0].rename(moved)
    write_card(learnt[1], "f" * 64)
    row = parse_row(f"learnt: {Learnt.name} checkpoint={moved},{learnt[1]},{learnt[2]}")
    said: list[str] = []
    assert left(Vpg("vpg-random", [row], config, out, say=said.append)) == [0, 1, 0]
    assert len(said) == 1 and "learnt-2.json" in said[0]


def test_primitives_limit_what_a_policy_does(tmp_path: Path) -> None:
    config = EvaluationConfig(runs=1, objects=1, seed=3, workers=1, actions_per_object=2)
    rows = [
        parse_row("grasps: antipodal+push primitives=grasp"),
        parse_row("pushes: antipodal+push primitives=push"),
    ]
    found = measured(Vpg("vpg-random", rows, config, tmp_path))["rows"]
    assert found["grasps"]["grasps"] == found["grasps"]["tries"] > 0
    assert found["pushes"]["grasps"] == 0 and found["pushes"]["tries"] > 0
    assert found["pushes"]["grasp_success"]["value"] is None
    assert found["pushes"]["completion"]["value"] == 0.0
