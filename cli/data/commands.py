"""``cards data``: card sets on disk and in the training bucket."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment

if TYPE_CHECKING:
    from recognition.card_sets.pack import AnySet

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Card sets: one folder a card, DIR/<card_id>/<image>; more images are more scans of it.
    The first line of DIR/LICENSE states the licence of the scans.

    \b
    cards data draw --count 200 --out drawn-cards/
    cards data check my-cards/
    cards data prepare my-cards/ --out my-pack/
    cards data views my-cards/emerald-042/front.png --out views.png
    cards data push my-pack/
    """,
)
_SHOWN_PROBLEMS = 20
_DRAWN_LICENCE = "Apache-2.0: drawn by cards data draw, which is part of this product\n"


@app.command(
    epilog="Example: cards data draw --count 200 --out drawn-cards/",
)
def draw(
    out: Annotated[Path, typer.Option(help="The folder to make.", show_default=False)],
    count: Annotated[int, typer.Option(min=1, max=100_000, help="How many cards.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same cards.")] = 0,
) -> None:
    """Draws a set of made-up cards, all different, to try everything with."""
    from cli.console import activity, print_line

    with activity(f"drawing {count} cards"):
        draw_cards(out, count, seed)
    print_line(f"{count} cards in {out}")
    print_line(f"next: cards data push {out}")


@app.command(epilog="Example: cards data check my-cards/")
def check(
    folder: Annotated[
        Path, typer.Argument(help="The card folder, or its pack.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Says what can be used in a card folder and what cannot, without changing it.

    Exits with 1 where nothing can be used; single broken images are named and left out. Of a pack,
    every byte is compared with what was packed, and one that differs is an error.
    """
    from cli.console import activity, print_json
    from cli.data.upload import read_cards, verify

    with activity(f"reading {folder}"):
        cards = read_cards(folder)
        verify(cards)
    if as_json:
        problems = [
            {"subject": p.subject, "reason": p.reason, "kind": p.kind} for p in cards.problems
        ]
        print_json(
            {
                "digest": cards.digest,
                "cards": len(cards.cards),
                "images": cards.images,
                "licence": cards.licence.text if cards.licence else None,
                "problems": problems,
            }
        )
        return
    report(cards)


@app.command(epilog="Example: cards data prepare my-cards/ --out my-pack/ --expect set-list.csv")
def prepare(
    source: Annotated[
        str, typer.Argument(help="The card folder, or an S3 prefix.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The pack to make.", show_default=False)],
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="The network's input in pixels.")
    ] = 224,
    expect: Annotated[
        Path | None,
        typer.Option(help="Ids of the cards that should be there: JSON, CSV, or one a line."),
    ] = None,
    environment: Environment = DEFAULT_ENVIRONMENT,
    as_json: Annotated[bool, typer.Option("--json", help="The report, for machines.")] = False,
) -> None:
    """Checks a card set and packs what is good, decoded once, for training to map into memory.

    The report names what is broken, empty, tiny, twice there, perhaps in another card's folder,
    and missing; DIR/report.json has all of it, DIR/report.png shows the suspicious pairs. What was
    interrupted goes on where it was. Exits with 1 where nothing can be used.
    """
    from cli.console import activity, print_json, print_line
    from cli.data import download
    from cli.data import prepare as data_prepare
    from cli.data.expected_cards import expected_ids
    from recognition.card_sets.card_set import Problem

    expected = expected_ids(expect) if expect else None
    with activity(f"preparing {source}") as task:

        def show_progress(line: str) -> None:
            if not as_json:  # what is said on the way would stand before the document
                task.update(line)

        folder, unfetched = Path(source), tuple[Problem, ...]()
        if source.startswith("s3://"):
            data_prepare.check_target(out)
            folder = download.source_folder(source, out)
            unfetched = download.fetch(
                AwsSession(environment).client("s3"), source, folder, show_progress
            )
        packed, findings, document = data_prepare.prepare(
            folder, out, size, expected, show_progress, unfetched
        )
        if source.startswith("s3://"):
            download.remove_source(folder)
    if as_json:
        print_json(document)
        return
    for line in data_prepare.lines(packed, findings, out):
        print_line(line)
    print_line(f"next: cards data push {out}")


@app.command(epilog="Example: cards data views my-cards/emerald-042/front.png --out views.png")
def views(
    scan: Annotated[Path, typer.Argument(help="An image of one card.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The PNG to write.", show_default=False)],
    count: Annotated[int, typer.Option(min=0, max=400, help="How many random views.")] = 24,
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="The network's input in pixels.")
    ] = 224,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds draw other views.")] = 0,
) -> None:
    """Draws what training makes of a scan: each effect alone, then camera views at random.

    Look at it before you train: a card that a person cannot recognise here, no network will.
    """
    from cli.console import print_line
    from cli.errors import CliError
    from recognition.card_sets.scan import ScanError, decode_image, read_image_bytes
    from recognition.views.effect_sheet import draw_view_sheet

    if out.suffix.lower() != ".png":
        raise CliError(f"--out {out}: a picture is written as PNG; name it NAME.png")
    try:
        pixels = decode_image(read_image_bytes(scan))
    except ScanError as error:
        raise CliError(f"{scan}: {error}; name one card's image") from None
    try:
        draw_view_sheet(pixels, out, size=size, views=count, seed=seed)
    except OSError as error:
        raise CliError(f"{out}: cannot be written ({error.strerror or error})") from None
    print_line(str(out))


@app.command(epilog="Example: cards train teacher --cards $(cards data push my-cards/ --quiet)")
def push(
    folder: Annotated[
        Path, typer.Argument(help="The card folder, or its pack.", show_default=False)
    ],
    environment: Environment = DEFAULT_ENVIRONMENT,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the S3 address and nothing else.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Uploads a card folder, or its pack, to the training bucket and prints its S3 address.

    The address is made from the contents: pushing the same cards again uploads nothing, and
    changed cards get an address of their own.
    """
    from dataclasses import asdict

    from cli.console import activity, print_json, print_line
    from cli.data.upload import push as upload
    from cli.data.upload import read_cards

    aws = AwsSession(environment)
    bucket = aws.deployment.training_bucket
    cards = read_cards(folder)
    if not quiet and not as_json:
        report(cards)
    if quiet or as_json:
        done = upload(aws.client("s3"), bucket, cards)
    else:
        with activity("uploading") as task:
            done = upload(
                aws.client("s3"),
                bucket,
                cards,
                lambda sent, total: task.update(f"{sent} of {total} files"),
            )
    if as_json:
        print_json(asdict(done))
    elif quiet:
        print_line(done.uri)
    else:
        print_line(
            f"{done.sent} files uploaded" if done.sent else "there already: nothing uploaded"
        )
        print_line(done.uri)


def draw_cards(out: Path, count: int, seed: int) -> None:
    """Draws a card set into a folder that must not hold anything yet; it appears whole or not.

    Folders have mode 0755 and files 0644, whatever the umask: jobs read them as another user.

    Raises:
        CliError: The folder holds something.
    """
    import shutil
    import tempfile

    from cli.errors import CliError
    from recognition.card_sets.card_set import LICENCE
    from recognition.sample_cards.drawing import draw_card_set

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CliError(f"{out}: is there and not empty; name another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        draw_card_set(aside, count, seed)
        (aside / LICENCE).write_text(_DRAWN_LICENCE)
        for path in (aside, *aside.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def report(cards: AnySet) -> None:
    """Prints what a card set holds and what was left out of it."""
    from cli.console import print_line
    from cli.data.prepare import licence_words

    print_line(f"{len(cards.cards)} cards, {cards.images} images, digest {cards.digest[:12]}")
    print_line(licence_words(cards))
    for problem in cards.problems[:_SHOWN_PROBLEMS]:
        print_line(f"  {problem}")
    if len(cards.problems) > _SHOWN_PROBLEMS:
        print_line(f"  … and {len(cards.problems) - _SHOWN_PROBLEMS} more (--json lists all)")
