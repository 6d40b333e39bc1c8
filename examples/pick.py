"""Pick one object and say how it went. Needs a running graph: selfgrasp up sim."""

from selfgrasp_nodes.client import SelfGrasp

with SelfGrasp() as robot:
    result = robot.pick(seed=1)
    for trial in result.trials:
        print(f"{trial.trial_id}: {trial.outcome.reason}")
