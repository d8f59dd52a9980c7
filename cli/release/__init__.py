"""``cards release``: listing, fetching and verifying releases, and moving channels.

``commands`` lists and shows; ``trust`` pins a deployment's signing key; ``pull`` fetches and
verifies; ``move_channel`` promotes and rolls back; ``retry`` compiles again; ``wait_for_release``
follows an approved version to its release. Nothing that a release says is used before its signature
is verified:

Example:
    >>> from edge.signature import signature_fits
    >>> signature_fits("not a key", b"signature", b"manifest")
    Traceback (most recent call last):
        ...
    registry.releases.signatures.trust.TrustError: signing key: is no public key in PEM form ...
"""
