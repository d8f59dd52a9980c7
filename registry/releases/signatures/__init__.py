"""Who signed a release: envelopes, the keys that make and check them, and each signature's format.

``signing`` asks AWS KMS for a signature and ``trust`` says which keys a client accepts.
``release_signatures`` keeps the signatures of one release in the bucket: the product's own,
``model_signature`` for OpenSSF's tools, and ``provenance`` for auditors.

A changed payload is no longer what was signed:

>>> from registry.releases.signatures.envelope import open_payload, seal, signed_bytes
>>> made = seal("text/plain", b"release 1", lambda message: message[::-1], "key-1")
>>> verify = lambda signature, message: signature == message[::-1]
>>> open_payload(made, "text/plain", verify, "example")
b'release 1'
>>> verify(made.signatures[0].value, signed_bytes("text/plain", b"release 2"))
False
"""
