"""The approver's page: what a person reads before a version is approved, as one HTML file.

Everything here works on data alone: no AWS, no torch. A training job writes :mod:`evidence
<reports.evidence>`; :mod:`reports.assembly` puts it together with what the registry knows into a
:class:`reports.page.Page`, and :mod:`reports.rendering` makes the file.
"""
