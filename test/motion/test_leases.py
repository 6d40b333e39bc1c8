from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from selfgrasp_nodes.errors import Cancelled, Unavailable
from selfgrasp_nodes.motion.leases import Leases, Region

TABLE = Region.box((0, 0, 0), (1, 1, 1))
BIN = Region.box((2, 0, 0), (3, 1, 1))
NEAR = Region.box((0.9, 0.9, 0.9), (1.5, 1.5, 1.5))


def test_regions_overlap_where_their_boxes_do():
    assert TABLE.overlaps(NEAR) and NEAR.overlaps(TABLE)
    assert not TABLE.overlaps(BIN)
    assert TABLE.overlaps(BIN, margin=1.1)
    both = Region.union([TABLE, BIN])
    assert both.low.shape == (2, 3) and both.overlaps(Region.box((2.5, 0, 0), (2.6, 1, 1)))
    assert not Region.union([]).overlaps(TABLE)


def test_overlapping_regions_are_not_leased_to_two():
    leases = Leases()
    left = leases.acquire("left", TABLE)
    assert leases.try_acquire("right", NEAR) is None
    assert leases.holders("right", NEAR) == ["left"]
    elsewhere = leases.try_acquire("right", BIN)
    assert elsewhere is not None
    left.release()
    left.release()
    assert leases.try_acquire("right", NEAR) is not None


def test_an_owner_is_never_in_its_own_way():
    leases = Leases()
    leases.acquire("left", TABLE)
    assert leases.acquire("left", NEAR, timeout=0.1)
    assert len(leases.held("left")) == 2


def test_a_lease_ends_with_its_block():
    leases = Leases()
    with leases.acquire("left", TABLE):
        assert leases.try_acquire("right", TABLE) is None
    assert leases.try_acquire("right", TABLE) is not None


def test_waiting_ends_when_the_region_is_free():
    leases = Leases()
    lease = leases.acquire("left", TABLE)
    threading.Timer(0.1, lease.release).start()
    start = time.monotonic()
    leases.acquire("right", TABLE, timeout=5)
    assert 0.08 < time.monotonic() - start < 1.0


def test_waiting_has_a_wall_clock_limit_and_names_the_holder():
    leases = Leases()
    leases.acquire("left", TABLE)
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"right waited 0\.2 s for space that left holds"):
        leases.acquire("right", TABLE, timeout=0.2)
    assert time.monotonic() - start < 1.0


def test_waiting_can_be_cancelled():
    leases, cancel = Leases(), threading.Event()
    leases.acquire("left", TABLE)
    threading.Timer(0.05, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(Cancelled, match="right was cancelled"):
        leases.acquire("right", TABLE, timeout=10, cancelled=cancel.is_set)
    assert time.monotonic() - start < 0.5


def test_many_threads_never_share_a_region():
    leases, inside, worst = Leases(), [], []

    def work(owner, seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            with leases.acquire(owner, TABLE, timeout=20):
                inside.append(owner)
                worst.append(len(inside))
                time.sleep(rng.uniform(0, 0.001))
                inside.remove(owner)

    threads = [threading.Thread(target=work, args=(f"arm {i}", i)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(worst) == 120 and max(worst) == 1
