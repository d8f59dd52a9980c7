"""Where runs are logged: a serverless MLflow App, a tracking server, or nowhere."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.constructs.service_role import SageMakerRole
from infra.constructs.storage.bucket_access import READ, WRITE
from infra.settings import MLFLOW_APP, MLFLOW_NONE
from registry.names import NO_MLFLOW

# What a training job does with MLflow: make the experiment, log a run, read it back. It deletes
# nothing, so that no job can rewrite history.
_LOGGING = [
    "sagemaker-mlflow:CreateExperiment",
    "sagemaker-mlflow:CreateRun",
    "sagemaker-mlflow:FinalizeLoggedModel",
    "sagemaker-mlflow:GetExperiment",
    "sagemaker-mlflow:GetExperimentByName",
    "sagemaker-mlflow:GetLoggedModel",
    "sagemaker-mlflow:GetMetricHistory",
    "sagemaker-mlflow:GetRun",
    "sagemaker-mlflow:ListArtifacts",
    "sagemaker-mlflow:LogBatch",
    "sagemaker-mlflow:LogInputs",
    "sagemaker-mlflow:LogLoggedModelParams",
    "sagemaker-mlflow:LogMetric",
    "sagemaker-mlflow:LogModel",
    "sagemaker-mlflow:LogOutputs",
    "sagemaker-mlflow:LogParam",
    "sagemaker-mlflow:SearchExperiments",
    "sagemaker-mlflow:SearchRuns",
    "sagemaker-mlflow:SetExperimentTag",
    "sagemaker-mlflow:SetLoggedModelTags",
    "sagemaker-mlflow:SetTag",
    "sagemaker-mlflow:UpdateRun",
]


class MlflowStore(Construct):
    """MLflow over an artifact bucket.

    Args:
        scope: The stack.
        construct_id: Decides the logical ids.
        kind: ``app``, ``tracking-server`` or ``none``.
        name: Of the App or server.
        bucket: Where artifacts go.
        retain: Whether the App or server, and so the runs, outlive the stack.

    Attributes:
        uri: The tracking URI that MLflow clients are given: the ARN, or ``none``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        kind: str,
        name: str,
        bucket: s3.IBucket,
        retain: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._bucket = bucket
        self._kind = kind
        if kind == MLFLOW_NONE:
            self.uri = NO_MLFLOW
            return
        role = SageMakerRole(
            self,
            "Role",
            description="MLflow keeps the artifacts of training runs with this role",
            statements=self._artifacts("s3:DeleteObject"),
        )
        store = f"s3://{bucket.bucket_name}/mlflow"
        server: cdk.CfnResource
        if kind == MLFLOW_APP:
            app = sagemaker.CfnMlflowApp(
                self,
                "App",
                name=name,
                artifact_store_uri=store,
                role_arn=role.role_arn,
                # The registry's own automation registers models; MLflow must not do it too.
                model_registration_mode="AutoModelRegistrationDisabled",
            )
            server, self.uri = app, app.attr_arn
        else:
            tracking = sagemaker.CfnMlflowTrackingServer(
                self,
                "TrackingServer",
                tracking_server_name=name,
                tracking_server_size="Small",
                artifact_store_uri=store,
                role_arn=role.role_arn,
                automatic_model_registration=False,
            )
            server, self.uri = tracking, tracking.attr_tracking_server_arn
        server.apply_removal_policy(
            cdk.RemovalPolicy.RETAIN if retain else cdk.RemovalPolicy.DESTROY
        )
        # Creation checks that the bucket can be written: the role alone is not enough.
        server.node.add_dependency(role.node.find_child("DefaultPolicy"))

    def logging_statements(self) -> list[iam.PolicyStatement]:
        """What a job needs to log its run: the API, and the artifacts, which bypass the server."""
        if self._kind == MLFLOW_NONE:
            return []
        # An App's whole API is behind one SageMaker action besides the granular ones.
        gate = (
            ["sagemaker:CallMlflowAppApi", "sagemaker:DescribeMlflowApp"]
            if self._kind == MLFLOW_APP
            else ["sagemaker:DescribeMlflowTrackingServer"]
        )
        return [
            iam.PolicyStatement(actions=[*gate, *_LOGGING], resources=[self.uri]),
            *self._artifacts(),
        ]

    def tagging_statements(self) -> list[iam.PolicyStatement]:
        """What it takes to name a run's version on the run."""
        if self._kind == MLFLOW_NONE:
            return []
        gate = ["sagemaker:CallMlflowAppApi"] if self._kind == MLFLOW_APP else []
        return [
            iam.PolicyStatement(actions=[*gate, "sagemaker-mlflow:SetTag"], resources=[self.uri])
        ]

    def _artifacts(self, *more: str) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                actions=[*READ, *WRITE, *more], resources=[self._bucket.arn_for_objects("*")]
            ),
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self._bucket.bucket_arn]),
        ]
