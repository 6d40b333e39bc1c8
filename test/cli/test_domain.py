"""Claims of ROS domains exclude each other, and what others use is left alone."""

from __future__ import annotations

import os
import socket

import pytest

from selfgrasp_nodes.cli import domain
from selfgrasp_nodes.errors import Unavailable


def test_claims_differ_and_are_restored() -> None:
    environment = {"ROS_DOMAIN_ID": "3"}
    other: dict[str, str] = {}
    with domain.free_domain(environment) as first, domain.free_domain(other) as second:
        assert first != second
        assert environment["ROS_DOMAIN_ID"] == str(first)
        assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert environment == {"ROS_DOMAIN_ID": "3"}
    assert other == {}


def test_a_domain_with_a_bound_port_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed, descriptor = domain.claim_domain()
    os.close(descriptor)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("127.0.0.1", 7400 + 250 * claimed + 11))
        monkeypatch.setattr(domain, "DOMAINS", [claimed])
        with pytest.raises(Unavailable, match="in use"):
            domain.claim_domain()


def test_a_claim_lasts_until_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    number, descriptor = domain.claim_domain()
    monkeypatch.setattr(domain, "DOMAINS", [number])
    with pytest.raises(Unavailable):
        domain.claim_domain()
    os.close(descriptor)
    again, descriptor = domain.claim_domain()
    os.close(descriptor)
    assert again == number
