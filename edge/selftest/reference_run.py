"""Runs a release on the reference views, on this device's own runtime and chip.

    python -m edge.selftest.reference_run RELEASE_FOLDER

In a process of its own, which prints one JSON object: a driver that crashes or a chip that hangs
then ends this process, and not the one that decides.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edge.runtimes.choice import load_model
from edge.runtimes.hailo import HailoBusyError, HailoError
from edge.selftest.comparison import differences
from recognition.onnx_model import OnnxModelError
from recognition.recogniser import Recogniser, RecogniserError
from recognition.reference_views import REFERENCE_VIEWS, ReferenceViewsError, read_reference_views
from registry.contract import Contract
from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT, files_of, parse


def run(release: Path) -> dict[str, Any]:
    """The result: ``views`` that were run, ``faults`` in words, ``busy`` for a chip in use."""
    try:
        recogniser, stated = _load(release)
        embeddings = recogniser.embed(stated.views)
        answers = [recogniser.answer(row).card_id for row in embeddings]
    except HailoBusyError as error:
        return {"views": 0, "faults": [str(error)], "busy": True}
    except (HailoError, OnnxModelError, RecogniserError, ReferenceViewsError, OSError) as error:
        return {"views": 0, "faults": [str(error)], "busy": False}
    faults = differences(stated, embeddings, answers)
    return {"views": len(stated.views), "faults": faults, "busy": False}


def _load(release: Path) -> tuple[Recogniser, Any]:
    with (release / MANIFEST).open("rb") as file:
        manifest = parse(file.read(MANIFEST_LIMIT + 1), str(release))
    # The manifest was verified by who starts this; the files are compared with it here.
    from recognition.file_digest import file_sha256

    listed = files_of(manifest, str(release))
    views = release / REFERENCE_VIEWS
    if file_sha256(views) != listed[REFERENCE_VIEWS].sha256:
        raise ReferenceViewsError(f"{views}: is not the file of the manifest")
    contract = Contract.from_dict(manifest["contract"])
    embedder = load_model(release / str(manifest["model"]), contract)
    return Recogniser.load(release, embedder=embedder), read_reference_views(views)


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
