from __future__ import annotations

import pytest

from selfgrasp_nodes.errors import InvalidConfig, UnknownName
from selfgrasp_nodes.policies import Policy, make_policy, policy_names
from selfgrasp_nodes.robots import load_robot, robot_names


@pytest.mark.parametrize("robot_name", robot_names())
@pytest.mark.parametrize("name", policy_names())
def test_every_policy_is_built_and_keeps_the_protocol(robot_name, name):
    policy = make_policy(name, load_robot(robot_name))
    assert isinstance(policy, Policy)
    assert policy.name == name
    assert policy.primitives and policy.required_views


def test_unknown_names_are_answered_with_the_valid_ones(robot):
    with pytest.raises(UnknownName, match=r"antipodal.*eigenvector.*random-roi"):
        make_policy("antipodel", robot)
    with pytest.raises(UnknownName, match="valid: arm"):
        make_policy("antipodal", robot, arm="left")


def test_unknown_and_wrong_parameters_are_refused(robot):
    with pytest.raises(InvalidConfig, match=r"angels[\s\S]*valid parameters: .*angles"):
        make_policy("antipodal", robot, angels=16)
    with pytest.raises(InvalidConfig, match="angles"):
        make_policy("antipodal", robot, angles=1)


def test_configuration_file(robot, tmp_path):
    file = tmp_path / "policies.yaml"
    file.write_text(
        "antipodal: {angles: 12}\n"
        "antipodal+push: {grasp: {angles: 8}}\n"
        "robots: {ur5_rg2: {antipodal: {depth: 0.02}}}\n"
    )
    policy = make_policy("antipodal", robot, config=file)
    assert (policy.params.angles, policy.params.depth) == (12, 0.02)
    combined = make_policy("antipodal+push", robot, config=file, grasp={"depth": 0.025})
    assert (combined.grasp.params.angles, combined.grasp.params.depth) == (8, 0.025)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("antipodl: {}\n")
    with pytest.raises(InvalidConfig, match="unknown policies"):
        make_policy("antipodal", robot, config=wrong)
    with pytest.raises(InvalidConfig, match="cannot be read"):
        make_policy("antipodal", robot, config=tmp_path / "missing.yaml")
