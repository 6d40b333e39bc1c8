"""Ranked grasps, executed one after the other until one holds. Nothing moves before that."""

from selfgrasp.msg import Candidate, Outcome

from selfgrasp_nodes.client import SelfGrasp

with SelfGrasp() as robot:
    for grasp in robot.plan(primitives=[Candidate.GRASP], max_candidates=3):
        print(f"score {grasp.score:.2f} at {grasp.pose.position}, {1e3 * grasp.width:.0f} mm open")
        outcome = robot.execute(grasp).outcome
        print(outcome.reason)
        if outcome.code == Outcome.SUCCESS:
            break
