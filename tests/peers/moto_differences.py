"""Tests of the product that moto 5.2.5 is known to fail, each with the reason.

An entry whose test passes is a failure: then moto has changed, and the entry goes. Who is right is
said in each reason, with where it can be read.
"""

#: By a test's file below the tests' folder and its function.
DIFFERENCES = {
    "registry/versions/test_approval.py::test_version_deleted_meanwhile_raises": (
        "moto has no DeleteModelPackage and answers 500. It is in AWS's API reference"
    ),
    "registry/versions/test_copying.py::"
    "test_copied_version_has_what_compilation_needs_and_waits_for_approval": (
        "moto gives every access key of no role the same account; the local cloud takes twelve "
        "digits for the account. AWS has no such keys, so neither is wrong"
    ),
    "registry/versions/test_queries.py::test_throttled_page_is_retried": (
        "moto's Search ignores SortBy and SortOrder. Both are in AWS's API reference of Search"
    ),
}
