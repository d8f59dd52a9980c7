"""Pulling a release: verified file by file, and in place all at once or not at all.

``download`` asks the channel, the signature and every file, ``bounded_transfer`` ends a transfer
that stalls, ``pulled_folder`` knows what an earlier pull left, and ``replaced_folder`` exchanges
the old folder for the new one in one step.

A folder that is filled and never half replaced:

>>> import tempfile
>>> from pathlib import Path
>>> from registry.releases.pull.replaced_folder import replaced_folder
>>> with tempfile.TemporaryDirectory() as parent:
...     target = Path(parent) / "release"
...     with replaced_folder(target, lambda old: None) as new:
...         _ = (new / "model.onnx").write_bytes(b"graph")
...         before = target.exists()
...     before, [file.name for file in target.iterdir()]
(False, ['model.onnx'])
"""
