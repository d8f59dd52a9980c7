"""``cards export``: what a graph is, before a person approves it, and the graphs made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Callable

    import onnx

app = typer.Typer(
    no_args_is_help=True,
    help="""
    ONNX graphs: what the Hailo parser would refuse, and graphs made of the one that ships.

    \b
    cards export lint model.onnx
    cards export network model.onnx --out network.onnx    what Hailo's parser gets
    cards export batch model.onnx --out batch.onnx        the same for many images at a time
    """,
)
_LARGEST = 2 * 2**30
Graph = Annotated[Path, typer.Argument(help="An ONNX graph.", show_default=False)]
Out = Annotated[Path, typer.Option(help="The file to write.", show_default=False)]


@app.command(epilog="Example: cards export lint release/model.onnx")
def lint(
    file: Graph,
    contract: Annotated[
        Path | None,
        typer.Option(help="The model's contract.json: also check what the graph takes and gives."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says what the Hailo parser is expected to refuse in a graph, and what to do about it.

    Also says what ONNX Runtime cannot load. Training runs the lint, too, at its end. The list of
    operations is a judgement from Hailo's published models. Exits with 1 where something is found.
    """
    from cli.console import print_json, print_line
    from cli.export.contract_file import read_contract
    from export.graphs.graph import parameter_count
    from export.graphs.lint import lint as find
    from export.graphs.runtime_check import runtime_findings

    model = _parse(file)
    findings = find(model, read_contract(contract) if contract else None)
    if not findings:
        # Afterwards: it stops at weights in another file, for example, without a remedy.
        _check(file, model)
    findings += runtime_findings(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if as_json:
        print_json(
            {
                "file": str(file),
                "opset": opset,
                "nodes": len(model.graph.node),
                "parameters": parameter_count(model),
                "findings": [
                    {"where": each.where, "cause": each.cause, "remedy": each.remedy}
                    for each in findings
                ],
            }
        )
    else:
        print_line(
            f"{file}: opset {opset}, {len(model.graph.node)} nodes, "
            f"{parameter_count(model):,} parameters"
        )
        for each in findings:
            print_line(f"  {each}")
        if not findings:
            print_line("nothing that the Hailo parser is expected to refuse")
    if findings:
        raise typer.Exit(1)


@app.command(epilog="Example: cards export network release/model.onnx --out network.onnx")
def network(file: Graph, out: Out) -> None:
    """Writes the network alone: normalised float32 NCHW in, the embedding before its norm out."""
    from export.graphs.graph import network as cut

    _derive(file, out, cut)


@app.command(epilog="Example: cards export batch release/model.onnx --out batch.onnx")
def batch(file: Graph, out: Out) -> None:
    """Writes the graph's twin for servers, which takes many images at a time."""
    from export.graphs.graph import batched

    _derive(file, out, batched)


def _derive(file: Path, out: Path, make: Callable[[onnx.ModelProto], onnx.ModelProto]) -> None:
    from cli.console import print_line
    from recognition.atomic_files import write_atomically

    model = _load(file)
    try:
        content = bytes(make(model).SerializeToString())
    except ValueError as error:
        raise CliError(f"{file}: {error}") from None
    try:
        write_atomically(out, content)
    except OSError as error:
        raise CliError(f"{out}: cannot be written ({error.strerror or error})") from None
    print_line(str(out))


def _load(file: Path) -> onnx.ModelProto:
    """A sound graph."""
    model = _parse(file)
    _check(file, model)
    return model


def _parse(file: Path) -> onnx.ModelProto:
    """The graph, and no other file that it might name."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if file.stat().st_size > _LARGEST:
            raise CliError(f"{file}: over {_LARGEST // 2**30} GiB")
        model = onnx.load_model_from_string(file.read_bytes())
    except OSError as error:
        raise CliError(f"{file}: cannot be read ({error.strerror or error})") from None
    except DecodeError as error:
        raise _no_graph(file, error) from None
    if not model.ir_version:
        raise _no_graph(file, "it names no version of the format")
    return model


def _check(file: Path, model: onnx.ModelProto) -> None:
    import onnx

    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _no_graph(file, error) from None


def _no_graph(file: Path, why: object) -> CliError:
    from registry.untrusted.text import printable

    return CliError(f"{file}: is no ONNX graph ({printable(' '.join(str(why).split()))[:200]})")
