"""The variables that ``lambdas/settings.py`` reads, from settings and stacks."""

from __future__ import annotations

from dataclasses import dataclass

from infra.access_stack import AccessStack
from infra.network_stack import NetworkStack
from infra.registry_stack import RegistryStack
from infra.settings import Settings
from registry.names import NO_NETWORK


@dataclass(frozen=True)
class FunctionEnvironment:
    """Makes each function's environment; ``ENVIRONMENT`` is for people who look at the function."""

    settings: Settings
    registry: RegistryStack
    access: AccessStack
    network: NetworkStack | None = None

    def register(self, topic_arn: str) -> dict[str, str]:
        """For ``register_model``."""
        return {
            **self._deployment(),
            "MLFLOW_URI": self.registry.mlflow.uri,
            "NOTICE_TOPIC_ARN": topic_arn,
        }

    def _deployment(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": self.settings.environment,
            "GROUP_NAME": self.registry.group.group_name,
            "TRAINING_BUCKET": self.registry.training_bucket.bucket_name,
            "RELEASE_BUCKET": self.registry.release_bucket.bucket_name,
            "STABLE_FOLLOWS": self.settings.stable_channel,
        }

    def compile(
        self, code_uri: str, publish_function: str, publisher_role_arn: str
    ) -> dict[str, str]:
        """For ``compile_approved``."""
        compile_ = self.settings.compile
        return {
            **self._version_variables(),
            "CODE_URI": code_uri,
            "COMPILE_INSTANCE_TYPE": compile_.instance_type,
            "COMPILE_MAX_RUNTIME_SECONDS": str(compile_.max_runtime_seconds),
            "COMPILE_ROLE_ARN": self.access.compile_role.role_arn,
            "COMPILE_SECURITY_GROUP": self.network.security_group if self.network else NO_NETWORK,
            "COMPILE_SUBNETS": ",".join(self.network.subnets) if self.network else NO_NETWORK,
            "PUBLISHER_ROLE_ARN": publisher_role_arn,
            "PUBLISH_FUNCTION": publish_function,
        }

    def publish(self, topic_arn: str) -> dict[str, str]:
        """For ``publish_release``, which gets the ARN of its own role beside these."""
        return {
            **self._version_variables(),
            "KEEP_RELEASES": self.settings.kept_releases,
            "NOTICE_TOPIC_ARN": topic_arn,
            "ROLLOUT_FAILURES": self.settings.accepted_failures,
            "SIGNING_KEY_ARN": self.registry.signing_key.key_arn,
            "SIGNING_KEY_ARNS": ",".join(key.key_arn for key in self.registry.signing_keys),
            "STATEMENT_DAYS": str(self.settings.statement_days),
        }

    def reconcile(
        self, register: str, compile_: str, publish: str, publisher_role_arn: str
    ) -> dict[str, str]:
        """For ``reconcile``."""
        return {
            **self._version_variables(),
            "COMPILE_FUNCTION": compile_,
            "KEEP_RELEASES": self.settings.kept_releases,
            "PUBLISHER_ROLE_ARN": publisher_role_arn,
            "PUBLISH_FUNCTION": publish,
            "REGISTER_FUNCTION": register,
            "ROLLOUT_FAILURES": self.settings.accepted_failures,
            "SIGNING_KEY_ARN": self.registry.signing_key.key_arn,
            "SIGNING_KEY_ARNS": ",".join(key.key_arn for key in self.registry.signing_keys),
        }

    def _version_variables(self) -> dict[str, str]:
        """What decides a version's next step: the same for all functions."""
        return {
            **self._deployment(),
            "COMPILE_IMAGE": self.access.compile_image,
            "COMPILE_SETTINGS": self.settings.compile_settings,
            "FOUR_EYES": "true" if self.settings.four_eyes else "false",
        }
