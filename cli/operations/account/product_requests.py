"""Every kind of request that the product changes something with, made by the product itself.

Each step below calls the function that the product calls for it, with clients that send nothing.
``tests/cli/operations/account/test_product_requests.py`` holds the list complete: every operation
that the product's code names is made here, or is one that only reads.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cli.operations.account.dry_objects import DryObjects
from cli.operations.account.dry_run import DryRun, Request
from cli.operations.account.example_state import DIGEST, JOB, STUDENT, TEACHER, ExampleState

if TYPE_CHECKING:
    from registry.compilation.compile_settings import CompileSettings
    from registry.compilation.jobs import CompileJobSettings
    from registry.deployment import DeployedNames, Deployment
    from registry.versions.packages import Package

_MODEL, _RELEASE_FILE = b"model", b"{}"


@dataclass
class ProductRequests:
    """A deployment whose steps are taken without sending anything.

    Attributes:
        names: What is deployed, or would be.
        account: Twelve digits.
        region: AWS's name of it.
        compile_settings: How the deployment compiles.
        compile_jobs: Where its compile jobs run.
    """

    names: DeployedNames
    account: str
    region: str
    compile_settings: CompileSettings
    compile_jobs: CompileJobSettings
    objects: DryObjects = field(default_factory=DryObjects)

    def __post_init__(self) -> None:
        self.state = ExampleState(
            self.names, self.account, self.region, self.compile_settings.image
        )
        answers: Mapping[str, Callable[[dict[str, Any]], Any]] = {
            **self.objects.answers,
            "sagemaker.DescribeModelPackage": lambda given: self.state.described(
                given["ModelPackageName"]
            ),
            "sagemaker.CreateModelPackage": lambda given: {
                "ModelPackageArn": self.state.version(1)
            },
            "sagemaker.DescribeTrainingJob": lambda given: self.state.training_job(),
            "sagemaker.ListArtifacts": lambda given: {"ArtifactSummaries": []},
            "sagemaker.CreateArtifact": lambda given: {
                "ArtifactArn": self.state.arn("artifact", "1")
            },
            "sagemaker.DescribeAction": _missing("DescribeAction"),
            "sagemaker.CreateAction": lambda given: {
                "ActionArn": self.state.arn("action", given["ActionName"])
            },
            "sagemaker.AddAssociation": lambda given: given,
            "sagemaker.ListAssociations": lambda given: {"AssociationSummaries": []},
            "sagemaker.ListTags": lambda given: {"Tags": []},
            "sagemaker.ListModelPackages": lambda given: {"ModelPackageSummaryList": []},
            "sagemaker.ListProcessingJobs": lambda given: {"ProcessingJobSummaries": []},
            "sagemaker.ListTrainingJobs": lambda given: {"TrainingJobSummaries": []},
            "sagemaker.Search": lambda given: {"Results": []},
            "kms.Sign": lambda given: {"Signature": b"signature"},
            "kms.Verify": lambda given: {"SignatureValid": True},
            "kms.GetPublicKey": lambda given: {"PublicKey": b"key"},
        }
        self.run = DryRun(answers)
        self.objects.objects[self.names.training_bucket, f"jobs/{JOB}/output/model.tar.gz"] = _MODEL

    def make(self) -> dict[str, list[Request]]:
        """Takes every step; what it requested, by the words for the step."""
        steps: dict[str, Callable[[], object]] = {
            "start a training job": self._train,
            "resume a training job": self._resume,
            "register a version": self._register,
            "register a compiled version": self._register_compiled,
            "decide on a version": self._decide,
            "start and stop a compile job": self._compile,
            "record lineage": self._lineage,
            "sign and write a release": self._release,
            "move, hold and free a channel": self._move,
            "record release and stage on a version": self._stage,
            "send a notice": self._notify,
            "retire a release": self._retire,
            "record the reconciler's position": self._reconcile,
            "call the functions": self._invoke,
            "list and search versions": self._query,
            "follow jobs and read logs": self._follow,
            "ask for a price": self._price,
        }
        made = {}
        for words, step in steps.items():
            before = len(self.run.requests)
            step()
            made[words] = self.run.requests[before:]
        return made

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment with clients that send nothing."""
        return self.names.deployment(self.run.client)

    # --- steps

    def _train(self) -> None:
        from training.submission.submit import plan, request

        asked = plan(
            self.names,
            region=self.region,
            kind="teacher",
            cards_uri=f"s3://{self.names.training_bucket}/cards/set/",
            cards_digest=DIGEST,
            recipe="demo",
        )
        self.run.client("sagemaker").create_training_job(**request(asked))

    def _resume(self) -> None:
        from training.submission.resume import resume

        resume(self.run.client("sagemaker"), JOB, submitted_by="AROAEXAMPLE:session")

    def _register(self) -> None:
        from registry.names import parse_name
        from registry.registration.register import register_version

        name = parse_name(TEACHER)
        line = (name.model_type, name.architecture, name.stage)
        register_version(
            self.deployment, self.state.training_job(), line, self.state.metadata("teacher phase2"),
            {"top1": 0.9, "queries": 100.0}, page=b"<html></html>",
        )  # fmt: skip

    def _register_compiled(self) -> None:
        from registry.compilers import ONNX_STAGE
        from registry.names import parse_name
        from registry.versions.packages import APPROVED, NewPackage, create

        name = parse_name(f"student-efficientnet-lite0-{ONNX_STAGE}-v1")
        create(
            self.deployment.sagemaker,
            self.names.group_name,
            NewPackage(
                name=name,
                approval=APPROVED,
                summary="compiled in a dry run",
                model_data_url=f"s3://{self.names.training_bucket}/compilations/x/output.tar.gz",
                image=self.compile_settings.image,
                metadata=self.state.metadata(f"student {ONNX_STAGE}"),
                generated_by=self.state.arn("processing-job", "compile-x-1"),
                approval_reason="its source is approved",
            ),
        )

    def _decide(self) -> None:
        from registry.versions.approval import apply
        from registry.versions.packages import APPROVED, REJECTED

        for status in (APPROVED, REJECTED):
            decided: dict[str, str] = {}
            answers = dict(self.run.answers)
            answers["sagemaker.UpdateModelPackage"] = lambda given, kept=decided: kept.update(  # type: ignore[misc]
                {key: str(value) for key, value in given.items() if key != "ModelPackageArn"}
            )
            answers["sagemaker.DescribeModelPackage"] = lambda given, kept=decided: {  # type: ignore[misc]
                **self.state.described(given["ModelPackageName"]),
                **kept,
            }
            deciding = DryRun(answers, self.run.requests)
            apply(
                deciding.client("sagemaker"), self._package(), status,
                reason="a dry run", person_arn=self.state.arn("user", "person"), override=True,
                sleep=lambda seconds: None,
            )  # fmt: skip

    def _compile(self) -> None:
        from registry.compilation import jobs

        source = self._package()
        name = jobs.start(
            self.deployment.sagemaker, self.deployment.s3, source, self.compile_settings,
            self.compile_jobs, attempt=1,
        )  # fmt: skip
        jobs.stop(self.deployment.sagemaker, name)

    def _lineage(self) -> None:
        from registry.lineage.ancestry import ancestors, descendants
        from registry.lineage.record import record_version

        record_version(self.deployment.sagemaker, self._package())
        # Again, with what is there then: an action whose status has changed, and an artifact.
        there = {
            "sagemaker.DescribeAction": lambda given: {
                "ActionArn": self.state.arn("action", given["ActionName"]),
                "Status": "InProgress",
            },
            "sagemaker.ListArtifacts": lambda given: {
                "ArtifactSummaries": [{"ArtifactArn": self.state.arn("artifact", "1")}]
            },
            "sagemaker.QueryLineage": lambda given: {
                "Vertices": [{"Arn": self.state.arn("artifact", "2")}]
            },
            "sagemaker.DescribeArtifact": lambda given: {
                "Source": {"SourceUri": self.state.version(2)}
            },
        }
        again = DryRun({**self.run.answers, **there}, self.run.requests).client("sagemaker")
        record_version(again, self._package())
        ancestors(again, self._package())
        descendants(again, self._package())

    def _release(self) -> None:
        from registry.aws import put_once
        from registry.releases.publication import withdraw
        from registry.releases.signatures.signing import put_public_key, signing_key

        put_public_key(self.deployment)
        key = signing_key(self.deployment)
        key.verify(key.sign(_RELEASE_FILE), _RELEASE_FILE)
        put_once(
            self.deployment.s3,
            self.names.release_bucket,
            f"releases/{self._release_id}/manifest.json",
            _RELEASE_FILE,
            ContentType="application/json",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(_RELEASE_FILE).digest()).decode(),
        )
        withdraw(self.deployment, self._release_id)

    def _move(self) -> None:
        from registry.releases import pointers
        from registry.releases.channel_moves import swap

        s3, bucket = self.deployment.s3, self.names.release_bucket
        swap(self.deployment, "stable", {"channel": "stable", "release": self._release_id}, None)
        swap(self.deployment, "stable", {"channel": "stable", "release": None}, '"etag"')
        pointer = pointers.Pointer(self._release_id, STUDENT, self.state.version(1))
        pointers.hold(s3, bucket, pointers.Hold(pointer, "person", "now", "a dry run"))
        pointers.release_hold(s3, bucket)

    def _stage(self) -> None:
        from registry.automation import stages
        from registry.versions.metadata import RELEASE

        stages.update(
            self.deployment, self.state.version(1), CustomerMetadataProperties={RELEASE: "release"}
        )
        stages.update(
            self.deployment, self.state.version(1), CustomerMetadataPropertiesToRemove=[RELEASE]
        )

    def _notify(self) -> None:
        from registry.notices import Notice, NoticeKind, Notifier

        notifier = Notifier(
            self.run.client("sns"), self.names.notice_topic_arn, self.names.environment
        )
        for kind in NoticeKind:
            notifier.publish(
                Notice(kind, STUDENT, self.state.version(1), "a dry run", ("cards trace",))
            )

    def _retire(self) -> None:
        from registry.releases.retention import retire

        key = f"releases/{self._release_id}/manifest.json"
        self.objects.objects[self.names.release_bucket, key] = _RELEASE_FILE
        retire(self.deployment, self._release_id, datetime.now(UTC))
        retire(self.deployment, self._release_id, datetime.now(UTC))

    def _reconcile(self) -> None:
        from registry.automation.reconciler_state import State, write

        write(self.deployment, State())

    def _invoke(self) -> None:
        body = json.dumps({"detail": {"ModelPackageArn": self.state.version(1)}}).encode()
        functions = (
            *(self.names.register_function, self.names.compile_function),
            *(self.names.publish_function, self.names.reconciler_function),
        )
        for function in functions:
            for kind in ({}, {"InvocationType": "Event"}):
                self.run.client("lambda").invoke(FunctionName=function, Payload=body, **kind)

    def _query(self) -> None:
        from registry.names import parse_name
        from registry.versions import queries

        row = {**self.state.described(self.state.version(1)), "ModelApprovalStatus": "Approved"}
        page = {"ModelPackageSummaryList": [], "NextToken": "next"}
        tokens = iter([page, page])
        answers = {
            **self.run.answers,
            "sagemaker.ListModelPackages": lambda given: next(
                tokens, {"ModelPackageSummaryList": []}
            ),
            "sagemaker.Search": lambda given: {"Results": [{"ModelPackage": row}]},
        }
        sagemaker = DryRun(answers, self.run.requests).client("sagemaker")
        group = self.names.group_name
        queries.latest(sagemaker, group)
        queries.find_by_name(sagemaker, group, parse_name(STUDENT))
        filters = queries.Filters(approval="Approved", where=(("Recipe", "demo"),))
        list(queries.pages(sagemaker, group, filters))

    def _follow(self) -> None:
        from registry.automation.trace import log_lines
        from registry.automation.unregistered_jobs import unregistered_jobs
        from registry.compilation.jobs import jobs_of
        from registry.names import parse_name
        from training.submission.watch import TRAINING_LOGS, JobLog

        answers = {
            "logs.DescribeLogStreams": lambda given: {
                "logStreams": [{"logStreamName": f"{JOB}/algo-1"}]
            },
            "logs.GetLogEvents": lambda given: {"nextForwardToken": "next", "events": []},
            "logs.FilterLogEvents": lambda given: {"events": []},
        }
        logs = DryRun(answers, self.run.requests).client("logs")
        now = datetime.now(UTC)
        row = {"CreationTime": now, "ProcessingJobStatus": "InProgress"}
        named = {"ProcessingJobName": f"compile-{STUDENT}-{self.compile_settings.id}-1", **row}
        answers["sagemaker.ListProcessingJobs"] = lambda given: {"ProcessingJobSummaries": [named]}
        answers["sagemaker.DescribeProcessingJob"] = lambda given: named
        sagemaker = DryRun({**self.run.answers, **answers}, self.run.requests).client("sagemaker")
        name, version = parse_name(STUDENT), self.state.version(1)
        jobs_of(sagemaker, version, name, self.compile_settings, version_created=now)
        list(unregistered_jobs(self.deployment, now, now, frozenset(), lambda *_: None))
        log = JobLog(logs, TRAINING_LOGS, JOB)
        log.new_lines()
        log.new_lines()
        list(log_lines(logs, ["/aws/lambda/function"], STUDENT, now))

    def _price(self) -> None:
        from training.submission.estimate import instance_price

        term = {"priceDimensions": {"1": {"unit": "Hrs", "pricePerUnit": {"USD": "0.23"}}}}
        product = json.dumps({"terms": {"OnDemand": {"1": term}}})
        answers = {"pricing.GetProducts": lambda given: {"PriceList": [product]}}
        pricing = DryRun(answers, self.run.requests).client("pricing")
        instance_price(pricing, self.region, "ml.m5.xlarge")

    # --- what the steps are about

    @property
    def _release_id(self) -> str:
        return f"{STUDENT}.{self.compile_settings.compiler}-{self.compile_settings.id}"

    def _package(self) -> Package:
        from registry.versions.packages import describe

        package = describe(self.deployment.sagemaker, self.state.version(1))
        assert package is not None
        return package


def _missing(operation: str) -> Callable[[dict[str, Any]], Any]:
    from botocore.exceptions import ClientError

    def raised(given: dict[str, Any]) -> Any:
        raise ClientError(
            {"Error": {"Code": "ResourceNotFound", "Message": "does not exist"}}, operation
        )

    return raised
