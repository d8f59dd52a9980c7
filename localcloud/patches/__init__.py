"""What MiniStack 1.5.33 does not do as AWS does, or too slowly; one function for each difference.

A patch replaces a function of MiniStack before the server answers its first request::

    from ministack.services import lambda_svc

    def find_unqualified_invoke_settings() -> None:
        original = lambda_svc._event_invoke_config

        def find(function, qualifier):
            return original(function, qualifier or "$LATEST")

        lambda_svc._event_invoke_config = find

To add one: write it in the file of its subject, call it in :func:`apply_all`, and give
``tests/localcloud/test_patches.py`` two tests: that it works, and that MiniStack still needs it.
"""

from __future__ import annotations

from pathlib import Path

from localcloud.patches import (
    bucket_settings,
    event_delivery,
    functions,
    iot_role_aliases,
    object_lists,
    permissions,
    sagemaker_service,
    stack_changes,
)

MINISTACK_VERSION = "1.5.33"


def apply_all(lambda_python: Path) -> None:
    """Applies every patch; called once, before the server answers.

    Args:
        lambda_python: The interpreter that functions run in.
    """
    sagemaker_service.mount_sagemaker()
    functions.run_functions_in(lambda_python)
    functions.give_functions_secret_credentials()
    functions.keep_throttled_events()
    functions.find_unqualified_invoke_settings()
    functions.keep_function_dead_letters()
    functions.dead_letter_failed_events()
    event_delivery.retry_functions_of_rules()
    event_delivery.dead_letter_undelivered_events()
    bucket_settings.keep_bucket_settings()
    object_lists.list_objects_by_index()
    iot_role_aliases.accept_role_aliases()
    stack_changes.find_changed_references()
    stack_changes.end_interrupted_changes()
    permissions.loopback_is_secure_transport()
    permissions.simulate_whole_requests()
    permissions.parse_policies_once()
    permissions.authorise_by_resource()
