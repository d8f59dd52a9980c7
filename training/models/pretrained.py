"""Where a network's initial weights come from: a job's checkpoint, a package, the hub, chance.

A backbone whose weights a pinned package carries (``training/published_weights.py``) never asks
the hub.

DINOv3's weights are under a licence that their user accepts, and may need a token to be fetched.
A job's environment and hyper-parameters are shown by DescribeTrainingJob to whoever may call it,
so the job is told the name of a secret only, and reads the token from AWS Secrets Manager itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recognition.file_digest import file_sha256
from registry.weight_origins import DINOV3_LICENCE, NOT_STATED, WeightOrigin, word
from training.checkpoint_files import HF_DINOV3, META_DINOV3, SUFFIXES, CheckpointError
from training.config import ConfigError, TrainingConfig
from training.environment import TOKEN_SECRET, JobEnvironment
from training.environment import WEIGHTS_CHANNEL as CHANNEL
from training.models.checkpoint import read_checkpoint
from training.models.networks import CardModel, build_model
from training.models.weights_digest import weights_digest
from training.published_weights import PUBLISHED, PublishedWeightsError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

_TOKEN = "HF_TOKEN"  # noqa: S105 (a variable's name)


class WeightsError(ValueError):
    """Initial weights that cannot be had; names them, the cause and the remedy."""


def begin(config: TrainingConfig, environment: JobEnvironment) -> tuple[CardModel, TrainingConfig]:
    """Builds a network with its initial weights.

    Args:
        config: With ``pretrained`` the weights are the published ones, from the backbone's package
            or the hub, unless a channel ``weights`` holds them.
        environment: The job's channels.

    Returns:
        The model, and the configuration with what its weights are called, their SHA-256 and their
        licence (:class:`registry.weight_origins.WeightOrigin`); nothing for random ones.

    Raises:
        WeightsError: The channel does not hold one checkpoint that fits, the package is not
            installed, or the hub refuses.
    """
    if CHANNEL in environment.channels:
        file = _checkpoint(environment.channel(CHANNEL, "one checkpoint of the backbone"))
        model, layout = _loaded(config, file, f"channel {CHANNEL}: ")
        origin = WeightOrigin(word(file.name), file_sha256(file), _licence(config, layout))
        return model, replace(config, initial_weights=origin.line)
    if not config.pretrained:
        return build_model(config), config
    published = PUBLISHED.get(config.backbone)
    if published is not None:
        try:
            file = published.path()
        except PublishedWeightsError as error:
            raise WeightsError(str(error)) from None
        model, _ = _loaded(config, file, f"{published.package}: ")
        return model, replace(config, initial_weights=published.origin.line)
    with hub_token(os.environ):
        try:
            model = build_model(config)
        except ConfigError as error:
            raise WeightsError(
                f"{error}; where the hub cannot be reached or asks for a token, give the "
                f"checkpoint in a channel {CHANNEL}, or name a secret in {TOKEN_SECRET}"
            ) from error
    from_hub: Any = model.backbone.pretrained_cfg
    name = f"hub:{from_hub.get('hf_hub_id') or config.backbone}:{from_hub.get('tag') or ''}"
    licence = _licence(config, META_DINOV3 if "dinov3" in config.backbone else "")
    origin = WeightOrigin(word(name), weights_digest(model.backbone), licence)
    return model, replace(config, initial_weights=origin.line)


def _licence(config: TrainingConfig, layout: str) -> str:
    """What the run's settings say, or what is known of weights in this layout."""
    known = DINOV3_LICENCE if layout in (META_DINOV3, HF_DINOV3) else NOT_STATED
    return config.weights_licence or known


@contextmanager
def hub_token(
    variables: Mapping[str, str], client: SecretsManagerClient | None = None
) -> Iterator[None]:
    """Gives the hub's client its token for as long as the weights are fetched.

    Args:
        variables: Name the secret; without one nothing happens.
        client: A boto3 ``secretsmanager`` client; the caller's own by default.

    Raises:
        WeightsError: The secret cannot be read, or holds no token.
    """
    name = variables.get(TOKEN_SECRET, "")
    if not name or os.environ.get(_TOKEN):
        yield
        return
    os.environ[_TOKEN] = _read_token(name, client)
    try:
        yield
    finally:
        os.environ.pop(_TOKEN, None)


def _read_token(name: str, client: SecretsManagerClient | None) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        asked = client or boto3.client("secretsmanager")
        text = asked.get_secret_value(SecretId=name).get("SecretString", "")
    except (ClientError, BotoCoreError) as error:
        raise WeightsError(
            f"secret {name}: cannot be read ({error}); the training role needs "
            "secretsmanager:GetSecretValue on it (setting hub_token_secret)"
        ) from None
    with suppress(ValueError):
        document = json.loads(text)
        text = document.get("token", "") if isinstance(document, dict) else text
    token = str(text).strip()
    # The value itself is never part of a message.
    if not token or any(c.isspace() or not c.isprintable() for c in token):
        raise WeightsError(
            f'secret {name}: holds no token; store it as text, or as {{"token": "…"}}'
        )
    return token


def _checkpoint(folder: Path) -> Path:
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(p.name for p in found[:5]) or "none"
        raise WeightsError(
            f"channel {CHANNEL}: must hold one file ending in {', '.join(SUFFIXES)}; found {names}"
        )
    return found[0]


def _loaded(config: TrainingConfig, file: Path, where: str) -> tuple[CardModel, str]:
    """The model with a file's weights, and the layout that they had."""
    try:
        found = read_checkpoint(file)
    except CheckpointError as error:
        raise WeightsError(f"{where}{error}") from error
    try:
        return build_model(config, found.state), found.layout
    except (CheckpointError, ConfigError) as error:
        raise WeightsError(
            f"{where}{file.name} ({found.layout}) does not fit the backbone "
            f"{config.backbone}: {error}"
        ) from error
