"""``cards registry``: what is registered, and what came from what."""

from __future__ import annotations

import typer

from cli.registry import approval, compare, lineage, listing, promotion, search, show

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

app.command("list", epilog=listing.LIST_EPILOG)(listing.list_)
app.command("latest", epilog=listing.LATEST_EPILOG)(listing.latest)
app.command("versions", epilog=listing.VERSIONS_EPILOG)(listing.versions)
app.command("search", epilog=search.EPILOG)(search.search)
app.command("show", epilog=show.EPILOG)(show.show)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("lineage", epilog=lineage.EPILOG)(lineage.lineage)
app.command("approve", epilog=approval.APPROVE_EPILOG)(approval.approve)
app.command("reject", epilog=approval.REJECT_EPILOG)(approval.reject)
app.command("promote", epilog=promotion.EPILOG)(promotion.promote)
