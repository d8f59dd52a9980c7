"""The current release's recogniser, watched: a release that keeps failing is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.runtimes.choice import load_model
from edge.runtimes.hailo import HailoError
from edge.state.folder import CURRENT, StateError, StateFolder
from edge.stored_release import pinned, signed_manifest
from edge.watchdog import Watchdog
from recognition.onnx_model import OnnxModelError
from recognition.recogniser import Recogniser, RecogniserError, Recognition
from registry.contract import Contract
from registry.releases.manifest import ManifestError

Answer = TypeVar("Answer")
#: What a broken model, runtime or chip raises; an image that cannot be used raises something else.
FAILURES = (HailoError, OnnxModelError, RuntimeError)


def load_current(folder: StateFolder) -> Recogniser:
    """The recogniser of the release in use, its signature and every file verified.

    Raises:
        StateError: There is none.
        ManifestError, RecogniserError: It is not what was signed.
        HailoError, OnnxModelError: Its model cannot run here.
    """
    release = folder.linked(CURRENT)
    if release is None:
        raise StateError(f"{folder.root}: there is no release yet: cards-edge update")
    manifest, _ = signed_manifest(release, pinned(folder))
    contract = Contract.from_dict(manifest["contract"])
    embedder = load_model(release / str(manifest["model"]), contract)
    return Recogniser.load(release, embedder=embedder)


class GuardedRecogniser:
    """Recognises with the current release, and goes back by itself where that keeps failing.

    Attributes:
        notes: What the watchdog has done, one line each.
    """

    def __init__(
        self,
        folder: StateFolder,
        load: Callable[[StateFolder], Recogniser] = load_current,
        watchdog: Watchdog | None = None,
    ) -> None:
        """Loads the current release; one that fails to is left for the one before.

        Raises:
            As :func:`load_current`, where there is nothing to go back to.
        """
        self.notes: list[str] = []
        self._folder, self._load = folder, load
        self._watchdog = watchdog or Watchdog(folder)
        self._note(self._watchdog.started())
        self._recogniser = self._loaded()
        self._release = folder.linked(CURRENT)

    @property
    def release(self) -> str:
        """Id of the release in use."""
        return self._recogniser.release

    @property
    def recogniser(self) -> Recogniser:
        """What recognises now; another one after the device went back or was updated."""
        return self._recogniser

    def refresh(self) -> bool:
        """Loads the current release where an update has changed it; says whether it did."""
        if self._folder.linked(CURRENT) == self._release:
            return False
        self._note(self._watchdog.started())
        self._recogniser = self._loaded()
        self._release = self._folder.linked(CURRENT)
        return True

    def recognise(self, image: NDArray[np.uint8]) -> Recognition:
        """Recognises the card that fills an image, uint8 RGB (h, w, 3).

        Raises:
            RecogniserError: No such image.
            HailoError, OnnxModelError, RuntimeError: The model fails, and there is nothing to go
                back to, or it has not failed often enough.
        """
        return self.guarded(lambda recogniser: recogniser.recognise(image))

    def guarded(self, work: Callable[[Recogniser], Answer]) -> Answer:
        """Runs something with the recogniser; its failures count, and its success confirms."""
        try:
            found = work(self._recogniser)
        except RecogniserError:
            raise
        except FAILURES as error:
            back = self._watchdog.failed(str(error))
            if back is None:
                raise
            self._note(back)
            self._recogniser = self._loaded()
            self._release = self._folder.linked(CURRENT)
            found = work(self._recogniser)
        self._watchdog.answered()
        return found

    def _loaded(self) -> Recogniser:
        try:
            return self._load(self._folder)
        except (ManifestError, OnnxModelError, RecogniserError) as error:
            # Not what was signed and tested: it will not get better by waiting.
            back = self._watchdog.damaged(str(error))
            if back is None:
                raise
            self._note(back)
            return self._load(self._folder)

    def _note(self, text: str | None) -> None:
        if text is not None:
            self.notes.append(text)
