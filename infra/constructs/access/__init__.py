"""Who may do what: IAM statements of the automation's functions and of people.

``automation_grants`` has one function for each Lambda function, ``operator_grants`` one for each
kind of person, ``version_grants`` what each of them may write into a version. Who may roll back a
release is decided by ``releaser_statements``::

    iam.ManagedPolicy(
        self, "Releaser", statements=releaser_statements(self, settings, registry)
    )
"""
