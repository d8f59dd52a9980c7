"""docs/guide.md, typed from top to bottom into a fresh local cloud."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.metadata import SCHEMAS
from registry.metadata import faults as metadata_faults
from tests.e2e.cloud import BIN, ROOT, free_port
from tests.e2e.guide_reader import Block, Reader, bare_environment, blocks

GUIDE = ROOT / "docs/guide.md"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A person with an empty home, in the checkout."""
    home = tmp_path_factory.mktemp("home")
    variables = bare_environment(
        home,
        {
            # Beside whatever runs on this machine already.
            "CARDS_LOCAL_PORT": str(free_port()),
            "CARDS_LOCAL_STATE": str(home / "local-cloud"),
            "CDK_OUTPUT": str(home / "cdk.out"),
        },
    )
    yield Reader(variables, home)
    subprocess.run([BIN / "cards", "local", "down"], env=variables, cwd=ROOT, check=True)


@pytest.mark.parametrize("block", blocks(GUIDE, "bash", "python", "json"), ids=lambda b: b.id)
def test_a_block_does_what_the_guide_says(reader: Reader, block: Block) -> None:
    if block.language == "bash":
        reader.bash(block.code)
    elif block.language == "json":
        check_metadata(block)
    elif block.remark == "inside a training job":
        inside_a_training_job(reader, block)
    else:
        reader.python(block.code)


def check_metadata(block: Block, model_type: str = "", stage: str = "") -> None:
    """An example of metadata: each of its keys is the schema's, and each value of its form."""
    if not model_type:
        _, model_type, stage = block.remark.split()
    example = json.loads(block.code)
    assert set(example) <= set(SCHEMAS[model_type, stage])
    # An example shows some keys; what it shows has to be right.
    faults = metadata_faults(model_type, stage, example)
    assert [fault for fault in faults if not fault.endswith(" is missing")] == []
