"""Create-only properties of what outlives its stack, and of people's policies, keep their values.

Where one changes, CloudFormation replaces the resource: of a named one the name is taken, so that
``cdk deploy`` fails; of a policy the people lose it whom it was attached to. A new wording of a
description is enough.
"""

from __future__ import annotations

from typing import Any

from tests.infra.assembly import REGION, Assembly

#: By logical id. Changing a value here means that existing deployments cannot be updated.
PINNED: dict[str, dict[str, Any]] = {
    "GroupC77FDACD": {
        "ModelPackageGroupName": "pokemon-card-recognition-models",
        "ModelPackageGroupDescription": (
            "Card recognition: every teacher, student and compiled model, with its lineage"
        ),
    },
    "TrainingBucketEB7BB5C9": {"BucketName": "pokemon-card-training-000000000000-us-east-2"},
    "MlflowBucket472F3C10": {"BucketName": "pokemon-card-mlflow-000000000000-us-east-2"},
    "ReleaseBucket49D06018": {"BucketName": "pokemon-card-releases-000000000000-us-east-2"},
    "MlflowApp434C8BD0": {
        "Name": "cards-dev",
        "RoleArn": "arn:aws:iam::000000000000:role/MlflowRoleB02213AC",
    },
    "CompilerRepositoryF30F4ED2": {"RepositoryName": "cards-dev-hailo"},
    "Approver04C9F6ED": {
        "Description": "Look at the models of the group, approve and reject them",
        "Path": "/",
    },
    "Operator41AE602D": {
        "Description": "Look at the whole deployment, as cards doctor does",
        "Path": "/",
    },
    "ReleaserC379D825": {
        "Description": "Promote, roll back, compile again, send given-up events again",
        "Path": "/",
    },
    "ImageBuilderAD143916": {"Description": "Push the image of Hailo's compiler", "Path": "/"},
}


def test_create_only_properties_keep_their_values(deployment: Assembly) -> None:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    found: dict[str, dict[str, Any]] = {}
    for each in deployment.resources:
        kept = each.body.get("DeletionPolicy") == "Retain"
        if not kept and each.type != "AWS::IAM::ManagedPolicy":
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, each.type).schema
        names = [path.split("/")[2] for path in schema.get("createOnlyProperties", ())]
        given = {name: each.properties[name] for name in names if name in each.properties}
        if given:
            found[each.logical_id] = given
    assert found == PINNED
