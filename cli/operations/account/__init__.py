"""What ``cards verify-account`` asks of an account, and what it keeps of the answers.

``product_requests`` makes the product's own requests against ``dry_run``, which sends nothing;
``access_calls`` asks IAM who may make which call of ``access_table``; ``region`` looks at what the
region has; ``recording`` and ``anonymising`` keep answers and events without ids and names.
"""
