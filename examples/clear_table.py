"""Clear the table, and tell about every try."""

from selfgrasp_nodes.client import SelfGrasp


def tell(feedback) -> None:
    """Called with each feedback."""
    print(f"\r{feedback.cleared} cleared in {feedback.actions} tries", end="", flush=True)


with SelfGrasp() as robot:
    result = robot.clear_table(max_actions=20, seed=1, on_feedback=tell)
    print(f"\n{result.message}; trials: {', '.join(result.trial_ids)}")
