"""Errors <-> the status fields (success, code, message) of responses and results."""

from __future__ import annotations

from typing import Any

from selfgrasp.msg import Status

from selfgrasp_nodes import errors

_CODES: dict[type[Exception], int] = {
    errors.InvalidConfig: Status.INVALID_CONFIG,
    errors.UnknownName: Status.UNKNOWN_NAME,
    errors.InvalidImage: Status.INVALID_IMAGE,
    errors.EmptyObservation: Status.EMPTY_OBSERVATION,
    errors.InvalidScene: Status.INVALID_SCENE,
    errors.InvalidCandidate: Status.INVALID_CANDIDATE,
    errors.PlanningFailed: Status.PLANNING_FAILED,
    errors.ExecutionFailed: Status.EXECUTION_FAILED,
    errors.Cancelled: Status.CANCELLED,
    errors.StorageError: Status.STORAGE_ERROR,
    errors.MissingDependency: Status.MISSING_DEPENDENCY,
    errors.Unavailable: Status.UNAVAILABLE,
    errors.Busy: Status.BUSY,
    errors.NotReady: Status.NOT_READY,
}
_ERRORS: dict[int, type[errors.SelfGraspError]] = {
    code: kind
    for kind, code in _CODES.items()
    if issubclass(kind, errors.SelfGraspError) and kind is not errors.UnknownName
}


class RemoteError(errors.SelfGraspError):
    """A node answered with an error that has no class of its own."""


class RemoteUnknownName(errors.UnknownName):
    """A node answered that it does not know a name; the message is the node's."""

    def __init__(self, message: str):
        Exception.__init__(self, message)


def code_of(error: BaseException) -> int:
    """The status code of an error; INTERNAL_ERROR for what was not raised on purpose."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return int(Status.INTERNAL_ERROR)


def set_ok(answer: Any, message: str = "") -> Any:
    """Mark a response or result as successful and return it."""
    answer.success, answer.code, answer.message = True, Status.OK, message
    return answer


def set_error(answer: Any, error: BaseException) -> Any:
    """Put an error into a response or result and return it."""
    answer.success, answer.code = False, code_of(error)
    answer.message = str(error) or type(error).__name__
    return answer


def check(answer: Any) -> Any:
    """The answer, if it was a success.

    Raises:
        SelfGraspError: The subclass that belongs to the code, with the message.
    """
    if answer.success:
        return answer
    if answer.code == Status.UNKNOWN_NAME:
        raise RemoteUnknownName(answer.message)
    raise _ERRORS.get(answer.code, RemoteError)(answer.message)
