"""What the entry points share: hyper-parameters in, exit code and failure file out."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from registry.untrusted.text import one_line
from training.config import ConfigError, TrainingConfig
from training.environment import ChannelError, JobEnvironment
from training.recipe import parse_arguments, resolve

#: SageMaker shows this much of a failure file.
_FAILURE_LIMIT = 1024
_DEFAULT_RECIPE = "full"
#: What a shell reports for a process that SIGTERM ended.
_STOPPED = 143

Stages = dict[str, str]
Job = Callable[[TrainingConfig, JobEnvironment], None]


def run_job(
    model_type: str, stages: Stages, load: Callable[[], Job], arguments: Sequence[str] | None
) -> int:
    """Runs a job and turns whatever happens into SageMaker's terms.

    Args:
        model_type: ``teacher`` or ``student``.
        stages: Stage by the value of ``--stage``; with one entry it is the default.
        load: Imports and returns the job's function; called once the settings are known to be
            right, so that a wrong one is told before torch is imported.
        arguments: Hyper-parameters; the process's own by default.

    Returns:
        The exit code: 0, 1 for a failure, 143 when SIGTERM stopped it.
    """
    # Threads that wait for each other by spinning take the cores from the threads that render
    # views, and from everybody else: on two busy cores training was five times slower. OpenMP
    # reads this when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment = JobEnvironment.read()
    try:
        given = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        recipe = given.pop("recipe", _DEFAULT_RECIPE)
        stage = given.pop("stage", next(iter(stages)) if len(stages) == 1 else "")
        if stage not in stages:
            raise ConfigError(f"--stage {stage!r}: must be {' or '.join(stages)}")
        config = resolve(recipe, model_type, stages[stage], given)
        load()(config, environment)
    except Exception as error:
        if not _is_expected(error):
            traceback.print_exc()
        reason = one_line(str(error)) or type(error).__name__
        if not _is_expected(error):
            reason = f"{type(error).__name__}: {reason}"
        print(f"error: {reason}", file=sys.stderr, flush=True)
        _write_failure(environment.failure_file, reason)
        return _STOPPED if type(error).__name__ == "StopRequested" else 1
    return 0


def _is_expected(error: Exception) -> bool:
    """Whether the message alone tells what is wrong, so that a traceback would only hide it."""
    if isinstance(error, ConfigError | ChannelError):
        return True
    from export.graphs.onnx_export import ExportError
    from recognition.card_sets.card_set import CardSetError
    from training.artifacts.model_archive import ModelArchiveError
    from training.errors import StopRequested, TrainingError
    from training.losses.shares import IdleTermError
    from training.models.pretrained import WeightsError

    expected = (ModelArchiveError, ExportError, WeightsError, TrainingError, IdleTermError)
    return isinstance(error, (CardSetError, StopRequested, *expected))


def _write_failure(path: Path, reason: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:_FAILURE_LIMIT], encoding="utf-8")
    except OSError as error:
        # Outside of SageMaker there may be no such folder; the reason is on stderr already.
        print(f"warning: {path}: cannot be written ({error})", file=sys.stderr, flush=True)
