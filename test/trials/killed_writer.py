"""Records trials until it is killed; what it claims finished it says on stdout."""

from __future__ import annotations

import sys

from trial_synthesis import Synthesizer, feed, record

from selfgrasp_nodes.trials.bag import TrialBagWriter

if __name__ == "__main__":
    run, joints, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with TrialBagWriter(run) as writer:
        number = len(writer.index.records)
        make = Synthesizer(seed=number)
        feed(writer, make, 0, joints=0, size=8)  # what a late joiner gets
        writer._buffer.take()
        print("ready", flush=True)
        while True:
            writer.begin_trial(f"trial-{number}")
            feed(writer, make, number, joints, size)
            writer.finish_trial(record(number))
            print(number, flush=True)
            number += 1
