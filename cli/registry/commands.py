"""``cards registry``: what is registered, and what came from what."""

from __future__ import annotations

import typer

from cli.registry import approve, compare, copy_version, lineage, list_versions, search, show

app = typer.Typer(
    no_args_is_help=True,
    help="""
    The registry: every model, from teacher to chip, in one Model Package Group.

    \b
    cards registry list                       the newest versions
    cards registry latest                     the newest approved student
    cards registry versions                   lines of names, and how many each
    cards registry search --metric "Top1>.8"  by words, metadata and metrics
    cards registry show NAME                  everything about one version
    cards registry compare NAME NAME          what differs, and by how much
    cards registry lineage NAME               what came from what
    cards registry approve NAME --reason "…"  the decision that releases
    cards registry promote NAME --to prod     into another deployment or account
    """,
)

app.command("list", epilog=list_versions.LIST_EPILOG)(list_versions.list_)
app.command("latest", epilog=list_versions.LATEST_EPILOG)(list_versions.latest)
app.command("versions", epilog=list_versions.VERSIONS_EPILOG)(list_versions.versions)
app.command("search", epilog=search.EPILOG)(search.search)
app.command("show", epilog=show.EPILOG)(show.show)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("lineage", epilog=lineage.EPILOG)(lineage.lineage)
app.command("approve", epilog=approve.APPROVE_EPILOG)(approve.approve)
app.command("reject", epilog=approve.REJECT_EPILOG)(approve.reject)
app.command("promote", epilog=copy_version.EPILOG)(copy_version.promote)
