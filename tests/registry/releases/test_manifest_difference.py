"""What differs between two releases."""

from registry.releases.manifest_difference import differences

FILE = {"sha256": "a" * 64, "bytes": 10}
MANIFEST = {
    "release": "x.onnx-int8-1",
    "compile_settings": {"compiler": "onnx-int8", "gate": {"cosine_mean": 0.99}},
    "lineage": [{"name": "stage2"}, {"name": "int8"}],
    "files": {"model.onnx": FILE},
    "signature": {"key": "one"},
}


def test_differences_of_equal_manifests_are_none() -> None:
    assert differences(MANIFEST, {**MANIFEST, "signature": {"key": "other"}}) == []


def test_difference_is_named_by_its_path_with_both_values() -> None:
    other = {
        **MANIFEST,
        "compile_settings": {"compiler": "onnx-int8", "gate": {"cosine_mean": 0.98}},
        "files": {"model.onnx": {**FILE, "sha256": "b" * 64}, "index.json": FILE},
    }
    assert differences(MANIFEST, other) == [
        {"what": "compile_settings.gate.cosine_mean", "before": 0.99, "after": 0.98},
        {"what": "files.index.json", "before": None, "after": "10 bytes, aaaaaaaaaaaa"},
        {
            "what": "files.model.onnx",
            "before": "10 bytes, aaaaaaaaaaaa",
            "after": "10 bytes, bbbbbbbbbbbb",
        },
    ]
