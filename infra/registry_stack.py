"""Everything with state: the group, the buckets, the signing key, MLflow's runs, the compiler."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra.constructs.jobs.compiler_repository import CompilerRepository
from infra.constructs.model_group import ModelGroup
from infra.constructs.published_value import publish_value
from infra.constructs.signing_key import SigningKey
from infra.constructs.storage.account_readers import grant_release_access
from infra.constructs.storage.data_key import DataKey
from infra.constructs.storage.mlflow_store import MlflowStore
from infra.constructs.storage.secure_bucket import SecureBucket
from infra.settings import KMS, Settings
from registry.names import (
    CARDS_PREFIX,
    DEVICES_PREFIX,
    KEYS_PREFIX,
    NAMES_PREFIX,
    RELEASE_MANIFEST,
    RELEASES_PREFIX,
)

#: Overwritten cards and checkpoints are kept this long against a mistake.
TRAINING_NONCURRENT_DAYS = 30
#: The files of a release that retention removed can be restored for so many days.
RETIRED_NONCURRENT_DAYS = 30


class RegistryStack(cdk.Stack):
    """The stateful stack. Its construct ids are logical ids: renaming one replaces the resource."""

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, env: cdk.Environment
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="Card recognition: model registry, buckets, MLflow, signing key",
            termination_protection=settings.retain,
        )
        self._settings = settings
        retain = settings.retain
        releases = settings.release_bucket or self._bucket_name("releases")
        self.group = ModelGroup(
            self,
            "Group",
            group_name=settings.group,
            retain=retain,
            reader_accounts=settings.reader_accounts,
        )
        self.data_key: DataKey | None = None
        if settings.encryption == KMS:
            self.data_key = DataKey(
                self, "DataKey", environment=settings.environment, retain=retain
            )
            self.data_key.grant_read(settings.reader_accounts, releases)
        self.training_bucket = SecureBucket(
            self,
            "TrainingBucket",
            bucket_name=settings.training_bucket or self._bucket_name("training"),
            key=self.data_key,
            retain=retain,
            noncurrent_days=TRAINING_NONCURRENT_DAYS,
            written_once=(f"{CARDS_PREFIX}*", f"{NAMES_PREFIX}*"),
        )
        self.mlflow_bucket = SecureBucket(
            self,
            "MlflowBucket",
            bucket_name=settings.mlflow_bucket or self._bucket_name("mlflow"),
            key=self.data_key,
            retain=retain,
        )
        self.release_bucket = SecureBucket(
            self,
            "ReleaseBucket",
            bucket_name=releases,
            key=self.data_key,
            retain=retain,
            # Channels and keys keep their whole history.
            noncurrent_days=RETIRED_NONCURRENT_DAYS if settings.keep_releases else None,
            noncurrent_prefix=RELEASES_PREFIX,
            reports_prefix=DEVICES_PREFIX if settings.devices else None,
            written_once=(f"{KEYS_PREFIX}*", f"{RELEASES_PREFIX}*/{RELEASE_MANIFEST}"),
        )
        grant_release_access(self.release_bucket, settings.reader_accounts)
        self.signing_keys = [
            SigningKey(
                self,
                "SigningKey" if number == 1 else f"SigningKey{number}",
                environment=settings.environment,
                retain=retain,
                number=number,
            )
            for number in range(1, settings.signing_keys + 1)
        ]
        self.signing_key = self.signing_keys[settings.signing_key - 1]
        self.mlflow = MlflowStore(
            self,
            "Mlflow",
            kind=settings.mlflow,
            name=f"cards-{settings.environment}",
            bucket=self.mlflow_bucket,
            retain=retain,
        )
        self.compiler_repository = CompilerRepository(
            self, "CompilerRepository", environment=settings.environment, retain=retain
        )
        for key, value, description in (
            ("group-name", settings.group, "Model Package Group of every model"),
            ("training-bucket", self.training_bucket.bucket_name, "Cards, jobs, compilations"),
            ("mlflow-bucket", self.mlflow_bucket.bucket_name, "Artifacts of MLflow runs"),
            ("mlflow-uri", self.mlflow.uri, "Tracking URI of MLflow, or none"),
            ("release-bucket", self.release_bucket.bucket_name, "Releases and channels"),
            ("signing-key-arn", self.signing_key.key_arn, "Signs release manifests"),
            (
                "signing-key-arns",
                ",".join(key.key_arn for key in self.signing_keys),
                "Every signing key, oldest first",
            ),
            ("compiler-repository", self.compiler_repository.uri, "Image of Hailo's compiler"),
        ):
            publish_value(self, settings.environment, key, value, description)

    def _bucket_name(self, purpose: str) -> str:
        return self._settings.bucket_name(purpose, self.account, self.region)
