"""The compilers that there are: one entry each, read by everything that has to know of them.

Names of versions, the metadata schema, validation, lineage, the compile job and its report, the
deployment's settings, ``cards doctor`` and the recogniser read :data:`COMPILERS`. To add one, write
its adapter (a class with the methods of ``export.compiler.Compiler``) and add one
:class:`CompilerKind` here.

    >>> compiler_kind("hailo").stage
    'hailo8l'
    >>> compiler_of_file("model.int8.onnx").name
    'onnx-int8'
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompilerImage:
    """The container image of a compiler that no public container has.

    Attributes:
        software: What the image must hold.
        remedy: How its user makes it.
    """

    software: str
    remedy: str


@dataclass(frozen=True)
class CompilerKind:
    """One compiler, and what it makes.

    Attributes:
        name: In settings and the ids of releases, for example ``onnx-int8``.
        stage: In the names of the versions that it makes, for example ``int8``; unique.
        file_format: What Lineage calls the format of its output, for example ``HEF``.
        model_file: File name of its output in a release; files that end alike run on the same
            runtime.
        title: Short, for the rows of tables.
        inference_target: Metadata value of ``InferenceTarget``: where the output runs.
        device: The same in words, for messages.
        adapter: Class of ``export/`` that calls it, as ``module:class``; imported by the job that
            compiles and by nothing else.
        calibration_images: Camera views that its quantiser should see: as many as Hailo advises;
            ONNX Runtime's finds the same ranges from 256 and from 1,024 (``docs/export.md``).
        runs_on_onnx_runtime: Whether ONNX Runtime runs its output on any processor.
        image: The image that it needs; None where the region's PyTorch container is enough.
    """

    name: str
    stage: str
    file_format: str
    model_file: str
    title: str
    inference_target: str
    device: str
    adapter: str
    calibration_images: int
    runs_on_onnx_runtime: bool = False
    image: CompilerImage | None = None

    @property
    def suffix(self) -> str:
        """The ending of its files, for example ``.hef``."""
        return "." + self.model_file.rpartition(".")[2]


ONNX_INT8 = CompilerKind(
    name="onnx-int8",
    stage="int8",
    file_format="INT8",
    model_file="model.int8.onnx",
    title="INT8",
    inference_target="cpu-onnxruntime",
    device="a processor with ONNX Runtime",
    adapter="export.int8:OnnxInt8",
    calibration_images=256,
    runs_on_onnx_runtime=True,
)
HAILO = CompilerKind(
    name="hailo",
    stage="hailo8l",
    file_format="HEF",
    model_file="model.hef",
    title="Hailo-8L",
    inference_target="raspberry-pi-hailo8l",
    device="a Hailo chip",
    adapter="export.hailo.compiler:Hailo",
    calibration_images=1024,
    image=CompilerImage(
        software="Hailo's Dataflow Compiler",
        remedy="build it from the wheel that Hailo's developer zone gives you",
    ),
)

#: In the order in which they are listed; the first without an image of its own is the default.
COMPILERS = (ONNX_INT8, HAILO)
#: Stage, and format in Lineage, of the ONNX model that every compiler is given.
ONNX_STAGE, ONNX_FORMAT, ONNX_FILE = "onnx", "ONNX", "model.onnx"


def compiler_names() -> tuple[str, ...]:
    """The names of all compilers."""
    return tuple(kind.name for kind in COMPILERS)


def compiled_stages() -> tuple[str, ...]:
    """The stages of all versions that a compile job makes, the ONNX model's first."""
    return (ONNX_STAGE, *(kind.stage for kind in COMPILERS))


def compiler_kind(name: object) -> CompilerKind:
    """The compiler of that name.

    Raises:
        KeyError: There is none; the message lists those that there are.
    """
    for kind in COMPILERS:
        if kind.name == name:
            return kind
    raise KeyError(f"compiler {name!r} is none of {', '.join(compiler_names())}")


def compiler_of_stage(stage: str) -> CompilerKind | None:
    """The compiler that makes versions of a stage; None for stages that no compiler makes."""
    return next((kind for kind in COMPILERS if kind.stage == stage), None)


def compiler_of_file(file: str) -> CompilerKind | None:
    """The first compiler whose output ends as a file's name does; None where no compiler's does."""
    return next((kind for kind in COMPILERS if file.endswith(kind.suffix)), None)
