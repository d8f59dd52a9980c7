"""A device that runs release ``old``, and a channel that states ``new``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge.device import NEW, OLD, Device, DeviceBucket


@pytest.fixture
def bucket() -> DeviceBucket:
    made = DeviceBucket()
    made.publish("old", OLD)
    made.publish("new", NEW)
    made.point("old", 1)
    return made


@pytest.fixture
def device(tmp_path: Path, bucket: DeviceBucket) -> Device:
    made = Device.set_up(tmp_path, bucket)
    assert made.updater().run().updated
    bucket.point("new", 2)
    bucket.asked.clear()
    bucket.sent.clear()
    made.tested.clear()
    return made
