"""Looks up what the approver's page says and a training job cannot see for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.train.job_sequence import PlannedJob
    from cli.train.options import TrainingRequest
    from registry.versions.packages import Package
    from training.page_facts import PageFacts


#: The stage of a student that is compared with what devices have.
_RELEASED_STAGE = 2


def page_facts(
    request: TrainingRequest, job: PlannedJob, parent: Package | None
) -> tuple[Package | None, PageFacts]:
    """The live version that the page compares with, and what else it says.

    A person who trains need not be allowed to look at releases: the page then says that what is
    live was not known, and ``cards report`` makes it anew for somebody who is.

    Args:
        request: Gives the session and the message.
        job: The job.
        parent: What it is made from; None for a teacher.
    """
    from botocore.exceptions import ClientError

    from registry.lineage.ancestry import ancestors
    from registry.untrusted.text import one_line
    from training.page_facts import PageFacts

    aws = request.aws
    facts = PageFacts(
        message=request.message,
        stable_channel=aws.deployment.stable_channel,
        four_eyes=aws.deployment.four_eyes,
    )
    try:
        if parent is not None:
            chain = ancestors(aws.client("sagemaker"), parent)
            facts = replace(facts, line=tuple(each.label for each in (*reversed(chain), parent)))
        if job.stage != _RELEASED_STAGE:
            return None, facts
        return _live(request, facts)
    except (ClientError, ValueError) as error:
        note = f"What is live could not be looked up when it was submitted: {one_line(str(error))}."
        return None, replace(facts, live_note=note)


def _live(request: TrainingRequest, facts: PageFacts) -> tuple[Package | None, PageFacts]:
    from cli.report.deployment_facts import circumstances, live_version
    from registry.object_identity import ObjectIdentity, head
    from registry.versions.metadata import MODEL_ARCHIVE, OUTPUT_ARCHIVE
    from reports.decision import console_link

    aws = request.aws
    around = circumstances(aws)
    console = "" if aws.is_local else console_link(aws.region, aws.deployment.group_name)
    facts = replace(
        facts, compiler=around.compiler, price=around.price, held=around.held, console=console
    )
    live, note = live_version(aws)
    if live is None:
        return None, replace(facts, live_note=note)
    # SageMaker refuses a job with a channel that holds nothing.
    if not live.model_data_url or head(aws.client("s3"), live.model_data_url) is None:
        note = f"The model of the live version, {live.label}, is not there any more."
        return None, replace(facts, live_note=note)

    def digest(key: str) -> str:
        identity = ObjectIdentity.parse(live.metadata.get(key, ""))
        return identity.sha256 if identity else ""

    return live, replace(
        facts,
        live=live.label,
        live_model=digest(MODEL_ARCHIVE),
        live_output=digest(OUTPUT_ARCHIVE),
    )
