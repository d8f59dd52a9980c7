"""docs/guide.md, typed from top to bottom into a fresh local cloud."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from registry.versions.metadata import faults as metadata_faults
from registry.versions.metadata_schema import SCHEMAS
from tests.e2e.cloud import BIN, ROOT, free_port
from tests.e2e.guides.guide_reader import Block, Reader, bare_environment, blocks

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
def test_block_does_what_the_guide_says(reader: Reader, block: Block) -> None:
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


#: What a training script knows at its end, and where it runs.
AT_THE_END = """
import os, pathlib, sys
folder = pathlib.Path(os.environ["SM_MODEL_DIR"])
folder.mkdir(parents=True, exist_ok=True)
final_path = folder / "model.safetensors"
import torch
from safetensors.torch import save_file
save_file({"head.weight": torch.zeros(768, 1280)}, final_path)
full_metadata = {
    "name_architecture": "efficientnet-lite0",
    "embedding_dim": 768,
    "num_classes": 17592,
    "hailo_compatible": True,
    "normalization": "BatchNorm",
    "training_approach": "embedding 1",
    "top1": 0.9,
    "queries": 920,
    "card_set_digest": "0f3a",
    "parent_model_package_arn": (
        "arn:aws:sagemaker:us-east-2:000000000000:model-package/pokemon-card-recognition-models/1"
    ),
}
"""


def inside_a_training_job(reader: Reader, block: Block) -> None:
    """Runs a block as the end of a training script, and reads what it asks for."""
    output = reader.folder / "job"
    folders = {
        "SM_MODEL_DIR": str(output / "model"),
        "SM_OUTPUT_DATA_DIR": str(output / "output/data"),
        "SM_OUTPUT_DIR": str(output / "output"),
    }
    code = block.code.replace("# ... full metadata", "**full_metadata,")
    Reader({**reader.variables, **folders}, reader.folder).python(AT_THE_END + code)
    asked = json.loads((output / "output/data/registration.json").read_text())
    assert asked["metadata"]["Parameters"] == str(768 * 1280), "counted, not stated"
    assert asked["metadata"]["BestSimilarity"] == "0.9234"
    assert (asked["stage"], asked["architecture"]) == ("stage1", "efficientnet-lite0")
