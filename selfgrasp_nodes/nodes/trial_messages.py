"""Messages <-> the package's own types: executions, traces and trials."""

from __future__ import annotations

import json

import numpy as np
from selfgrasp.msg import Execution as ExecutionMsg
from selfgrasp.msg import Phase as PhaseMsg
from selfgrasp.msg import SensorTrace as TraceMsg
from selfgrasp.msg import Trial as TrialMsg
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from selfgrasp_nodes.nodes.conversions import (
    candidate,
    candidate_message,
    duration_message,
    header,
    outcome,
    outcome_message,
    seconds,
    stamp,
    time_message,
)
from selfgrasp_nodes.types import (
    Execution,
    OutcomeCode,
    Phase,
    PhaseCode,
    SensorTrace,
    Trajectory,
    Trial,
)


def phase_message(phase: Phase) -> PhaseMsg:
    """A phase as a message."""
    return PhaseMsg(
        phase=int(phase.code), start=time_message(phase.start), end=time_message(phase.end)
    )


def phase(message: PhaseMsg) -> Phase:
    """A phase from a message."""
    return Phase(PhaseCode(message.phase), stamp(message.start), stamp(message.end))


def trajectory_message(trajectory: Trajectory) -> JointTrajectory:
    """A trajectory as a message that starts when it arrives (stamp 0)."""
    message = JointTrajectory(joint_names=list(trajectory.joints))
    rows = zip(trajectory.time, trajectory.positions, trajectory.velocities, strict=True)
    message.points = [
        JointTrajectoryPoint(
            positions=position.tolist(),
            velocities=velocity.tolist(),
            time_from_start=duration_message(float(at)),
        )
        for at, position, velocity in rows
    ]
    return message


def trajectory(message: JointTrajectory) -> Trajectory:
    """A trajectory from a message; velocities that are not given become differences."""
    joints = len(message.joint_names)
    time = np.array([seconds(point.time_from_start) for point in message.points])
    positions = np.array([point.positions for point in message.points], float)
    positions = positions.reshape(len(time), joints)
    if message.points and all(len(p.velocities) == joints for p in message.points):
        velocities = np.array([p.velocities for p in message.points], float)
    elif len(time) > 1:
        velocities = np.gradient(positions, time, axis=0)
        velocities[0] = velocities[-1] = 0
    else:
        velocities = np.zeros_like(positions)
    return Trajectory(tuple(message.joint_names), time, positions, velocities)


def trace_message(trace: SensorTrace, joint_names: tuple[str, ...]) -> TraceMsg:
    """A sensor trace as a message."""
    return TraceMsg(
        stamps=[time_message(int(t)) for t in trace.time],
        joint_names=list(joint_names),
        **{
            name: np.asarray(getattr(trace, name), float).ravel().tolist()
            for name in ("width", "force", "wrench", "joints", "effort")
        },
    )


def trace(message: TraceMsg) -> SensorTrace:
    """A sensor trace from a message."""
    count, joints = len(message.stamps), len(message.joint_names)
    return SensorTrace(
        time=np.array([stamp(t) for t in message.stamps], np.int64),
        width=np.array(message.width, float),
        force=np.array(message.force, float),
        wrench=np.array(message.wrench, float).reshape(count, 6),
        joints=np.array(message.joints, float).reshape(count, joints),
        effort=np.array(message.effort, float).reshape(count, joints),
    )


def execution_message(
    execution: Execution, frame: str, joint_names: tuple[str, ...] = ()
) -> ExecutionMsg:
    """An execution as a message; ``joint_names`` are the columns of its trace."""
    message = ExecutionMsg(
        candidate=candidate_message(execution.candidate, frame),
        phases=[phase_message(item) for item in execution.phases],
        commanded=[trajectory_message(item) for item in execution.commanded],
        code=int(execution.code),
        error=execution.error,
    )
    if execution.trace is not None:
        message.trace = [trace_message(execution.trace, joint_names)]
    return message


def execution(message: ExecutionMsg) -> Execution:
    """An execution from a message."""
    return Execution(
        candidate=candidate(message.candidate),
        phases=tuple(phase(item) for item in message.phases),
        trace=trace(message.trace[0]) if message.trace else None,
        commanded=tuple(trajectory(item) for item in message.commanded),
        error=message.error,
        code=OutcomeCode(message.code),
    )


def trial_message(
    trial: Trial, frame: str, at: int, joint_names: tuple[str, ...] = ()
) -> TrialMsg:
    """A trial as a message, finished at ``at`` [ns]; observations go by their ids."""
    return TrialMsg(
        header=header(frame, at),
        schema=trial.schema,
        trial_id=trial.trial_id,
        run_id=trial.run_id,
        episode_id=trial.episode_id,
        index=trial.index,
        seed=trial.seed,
        robot=trial.robot,
        config_digest=trial.config_digest,
        scene_id=trial.scene_id,
        candidate=candidate_message(trial.candidate, frame),
        outcome=outcome_message(trial.outcome),
        execution=execution_message(trial.execution, frame, joint_names),
        observation_before=trial.observation_before,
        observation_after=trial.observation_after,
        bag_uri=trial.bag_uri,
        notes=json.dumps(trial.notes) if trial.notes else "",
    )


def trial(message: TrialMsg) -> Trial:
    """A trial from a message."""
    return Trial(
        trial_id=message.trial_id,
        run_id=message.run_id,
        episode_id=message.episode_id,
        index=message.index,
        seed=message.seed,
        robot=message.robot,
        config_digest=message.config_digest,
        scene_id=message.scene_id,
        candidate=candidate(message.candidate),
        outcome=outcome(message.outcome),
        execution=execution(message.execution),
        observation_before=message.observation_before,
        observation_after=message.observation_after,
        bag_uri=message.bag_uri,
        schema=message.schema,
        notes=json.loads(message.notes) if message.notes else {},
    )
