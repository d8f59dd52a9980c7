"""The reference index: what was written is found, and what was tampered with is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.search import index as index_module
from recognition.search import index_rows
from recognition.search.gallery import best_matches, l2_normalise
from recognition.search.index import (
    EMBEDDINGS,
    FILES,
    METADATA,
    ROWS,
    IndexFileError,
    ReferenceIndex,
    write_index,
)
from tests.properties import examples


def sample(rows: int = 40, dimensions: int = 16, seed: int = 0) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    return [f"card-{k}" for k in range(rows)], rng.normal(size=(rows, dimensions))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ids, embeddings = sample()
    write_index(tmp_path / "index", ids, embeddings, {"card_set": {"digest": "abc"}})
    return tmp_path / "index"


def test_written_index_is_read_back(folder: Path) -> None:
    ids, embeddings = sample()
    index = ReferenceIndex.load(folder)
    assert index.card_ids == tuple(ids) and index.dimensions == 16
    cosines = np.einsum("ij,ij->i", index.rows.unit(), l2_normalise(embeddings))
    assert cosines.min() > 0.9999
    assert index.metadata["schema"] == 2
    assert index.metadata["card_set"] == {"digest": "abc"}
    assert (index.metadata["rows"], index.metadata["cards"]) == (40, 40)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert json.loads((folder / ROWS).read_text())["7"] == "card-7"


def test_same_embeddings_give_the_same_files(folder: Path, tmp_path: Path) -> None:
    write_index(tmp_path / "again", *sample(), {"card_set": {"digest": "abc"}})
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize("numbers", [1, 16, 100, 640])
def test_blocks_do_not_show_in_the_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    monkeypatch.setattr(index_rows, "BLOCK", numbers)
    write_index(tmp_path / "again", *sample(), {"card_set": {"digest": "abc"}})
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name
    assert (folder / EMBEDDINGS).read_bytes() == npy(index_rows.to_int8(l2_normalise(sample()[1])))
    ReferenceIndex.load(folder)


def test_embeddings_are_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the embeddings' size, for blocks and card ids."""
    monkeypatch.setattr(index_rows, "BLOCK", 2**12)
    ids, embeddings = sample(1500, 1024)
    given_ = embeddings.astype(np.float32)
    peaks = []
    for work in (
        lambda: write_index(tmp_path, ids, given_),
        lambda: peaks.append(ReferenceIndex.load(tmp_path)),
    ):
        tracemalloc.start()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    written, _, loaded = peaks
    assert written < given_.nbytes / 10 and loaded < given_.nbytes / 10
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(tmp_path / EMBEDDINGS) in maps.read_text()


def test_index_that_is_replaced_stays_what_it_was(folder: Path) -> None:
    index = ReferenceIndex.load(folder)
    _, embeddings = sample()
    found = index.search(embeddings[3], 2)
    write_index(folder, *sample(9, 16, seed=1))
    assert index.search(embeddings[3], 2) == found
    assert len(ReferenceIndex.load(folder).card_ids) == 9


@settings(max_examples=examples(50), deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 50), spread=st.sampled_from([1.0, 1e-2, 1e-5]))
def test_search_equals_the_matrix_product_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, k: int, spread: float
) -> None:
    """Also where all rows are nearly one, and with several scans a card."""
    _, embeddings = sample(60, 8, seed)
    embeddings = embeddings * spread + sample(1, 8, seed + 2)[1]
    ids = [f"card-{k % 45:02d}" for k in range(60)]
    folder = tmp_path_factory.mktemp("index")
    write_index(folder, ids, embeddings)
    query = embeddings[seed % 60] + spread * np.random.default_rng(seed + 1).normal(size=8)
    index = ReferenceIndex.load(folder)
    found = index.search(query, k)
    truth = best_matches(index.rows.unit(), ids, query[None], k)
    assert [value for _, value in found] == pytest.approx(truth.similarities[0], abs=1e-6)
    of_card = index.cosines(query, [card for card, _ in found])
    assert list(of_card.values()) == pytest.approx(truth.similarities[0], abs=1e-6)


def test_rows_of_8_bits_find_the_cards_that_float_rows_find(tmp_path: Path) -> None:
    ids, embeddings = sample(3000, 256)
    write_index(tmp_path, ids, embeddings)
    index = ReferenceIndex.load(tmp_path)
    rng = np.random.default_rng(9)
    queries = embeddings[:1000] + 0.5 * rng.normal(size=(1000, 256))
    truth = best_matches(embeddings, ids, queries, 1)
    found = [index.search(query, 1)[0] for query in queries]
    assert [card for card, _ in found] == truth.card_ids[:, 0].tolist()
    assert [value for _, value in found] == pytest.approx(truth.similarities[:, 0], abs=1e-3)


def test_bound_of_the_integer_products_holds() -> None:
    rng = np.random.default_rng(3)
    rows = index_rows.Int8Rows(index_rows.to_int8(rng.normal(size=(500, 32)).astype(np.float32)))
    numbers = np.arange(500)
    for query in l2_normalise(rng.normal(size=(50, 32)) ** 3):
        scanned, error = rows.scan(query)
        exact = rows.cosines(numbers, query)
        assert np.abs(scanned - exact).max() <= error + index_module.ROUNDING
        np.testing.assert_allclose(exact, rows.unit() @ query, atol=1e-6)


def test_many_scans_of_few_cards_do_not_crowd_others_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    near = np.array([1.0, 0, 0, 0]) + 0.001 * rng.normal(size=(400, 4))
    far = np.array([[0.0, 1, 0, 0], [0, 0, 1, 0]])
    ids = ["many"] * 400 + ["x", "y"]
    write_index(tmp_path, ids, np.concatenate([near, far]))
    found = ReferenceIndex.load(tmp_path).search([1, 0.2, 0.1, 0], 3)
    assert [card for card, _ in found] == ["many", "x", "y"]


def write_format_1(folder: Path, ids: list[str], embeddings: np.ndarray) -> None:
    """As earlier versions of this product wrote it; of the graph nothing is read."""
    folder.mkdir()
    (folder / EMBEDDINGS).write_bytes(npy(l2_normalise(embeddings)))
    (folder / ROWS).write_text(json.dumps({str(row): card for row, card in enumerate(ids)}))
    rows, dimensions = embeddings.shape
    document = {"rows": rows, "cards": len(set(ids)), "dimensions": dimensions, "sha256": {}}
    (folder / METADATA).write_text(json.dumps(document))
    reseal(folder, schema=1, metric="cosine", graph={"dtype": "i8", "connectivity": 16})


def test_index_of_an_earlier_release_is_read_without_its_graph(tmp_path: Path) -> None:
    ids, embeddings = sample(60, 16)
    write_format_1(tmp_path / "old", ids, embeddings)
    index = ReferenceIndex.load(tmp_path / "old")
    np.testing.assert_array_equal(index.rows.unit(), l2_normalise(embeddings))
    query = embeddings[7] + 0.3 * embeddings[9]
    truth = best_matches(embeddings, ids, query[None], 4)
    found = index.search(query, 4)
    assert [card for card, _ in found] == truth.card_ids[0].tolist()
    assert [value for _, value in found] == pytest.approx(truth.similarities[0], abs=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        index.rows.unit()[0, 0] = 1


def reseal(folder: Path, **changes: object) -> None:
    """Writes metadata that agrees with the files, as a careful attacker or a bug would."""
    document = json.loads((folder / METADATA).read_text())
    document["sha256"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (EMBEDDINGS, ROWS)
    }
    document.update(changes)
    (folder / METADATA).write_text(json.dumps(document))


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(IndexFileError, match=rf"{name}: cannot be read"):
        ReferenceIndex.load(folder)


@pytest.mark.parametrize("name", [EMBEDDINGS, ROWS])
def test_changed_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(IndexFileError, match=rf"{name}: not the file"):
        ReferenceIndex.load(folder)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


WHOLE = np.full((40, 16), 127, np.int8)


@pytest.mark.parametrize(
    ("words", "array"),
    [
        ("int8 array", np.full((40, 16), 0.25, np.float32)),
        ("int8 array", np.full(40, 127, np.int8)),
        ("empty", np.zeros((0, 16), np.int8)),
        ("largest value of 0, not 127", WHOLE * 0),
        ("largest value of 126, not 127", WHOLE - 1),
        ("largest value of 128, not 127", WHOLE + 1),
        ("40 rows, .* has 39", WHOLE[:39]),
        ("dimensions is 16", WHOLE[:, :4]),
        ("not a NumPy array", np.array([{"code": 1}], dtype=object)),
        ("row by row", np.asfortranarray(WHOLE)),
    ],
)
def test_wrong_embeddings_are_refused(folder: Path, words: str, array: np.ndarray) -> None:
    (folder / EMBEDDINGS).write_bytes(npy(array))
    reseal(folder)
    with pytest.raises(IndexFileError, match=words):
        ReferenceIndex.load(folder)


@pytest.mark.parametrize("row", [0, 17, 39])
def test_wrong_row_is_found_in_every_block(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int
) -> None:
    monkeypatch.setattr(index_rows, "BLOCK", 5 * 16)
    array = WHOLE.copy()
    array[row] = 1
    (folder / EMBEDDINGS).write_bytes(npy(array))
    reseal(folder)
    with pytest.raises(IndexFileError, match=f"row {row} has a largest value of 1"):
        ReferenceIndex.load(folder)
    write_format_1(tmp_path / "old", *sample())
    for value, words in ((2.0, f"row {row} has length 2"), (np.inf, "not finite")):
        old = np.full((40, 16), 0.25, np.float32)
        old[row] = value / 4
        (tmp_path / "old" / EMBEDDINGS).write_bytes(npy(old))
        reseal(tmp_path / "old")
        with pytest.raises(IndexFileError, match=words):
            ReferenceIndex.load(tmp_path / "old")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:60],
        lambda content: content.replace(b"(40, 16)", b"(1" + 20 * b"0" + b", 16)"),
        lambda content: content.replace(b"(40, 16)", b"(-4, 16)"),
        lambda content: content.replace(b"(40, 16)", b"__import"),
        lambda content: b"",
    ],
)
def test_header_that_promises_more_than_is_there(
    folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = folder / EMBEDDINGS
    path.write_bytes(damage(path.read_bytes()))
    reseal(folder)
    with pytest.raises(IndexFileError, match=EMBEDDINGS):
        ReferenceIndex.load(folder)


@pytest.mark.parametrize(
    ("words", "content"),
    [
        ("not JSON", "{"),
        ("not a JSON object", "[]"),
        ("39 rows", json.dumps({str(k): f"c{k}" for k in range(39)})),
        ("row 0 has no valid", json.dumps({str(k + 1): f"c{k}" for k in range(40)})),
        ("row 3 has no valid", json.dumps({str(k): "c" if k != 3 else "../x" for k in range(40)})),
    ],
)
def test_wrong_rows_are_refused(folder: Path, words: str, content: str) -> None:
    (folder / ROWS).write_text(content)
    reseal(folder)
    with pytest.raises(IndexFileError, match=words):
        ReferenceIndex.load(folder)


def test_wrong_metadata_is_refused(folder: Path) -> None:
    for changes, words in (
        ({"schema": 3}, "schema 3, this code reads 1 and 2"),
        ({"schema": True}, "schema True"),
        ({"schema": 1}, "must be a float32 array"),
        ({"schema": [2]}, "schema"),
        ({"rows": 41}, "rows is 41"),
        ({"sha256": None}, "sha256"),
        ({"artworks": ["card-1"]}, "artworks is not a JSON object"),
        ({"artworks": {"card-99": "a"}}, "names a card that has no row"),
        ({"artworks": {"card-1": 7}}, "not the form of a card id"),
        ({"artworks": {"card-1": "a\nb"}}, "not the form of a card id"),
    ):
        reseal(folder, **{"schema": 2, "rows": 40, **changes})
        with pytest.raises(IndexFileError, match=words):
            ReferenceIndex.load(folder)


def test_wrong_queries_and_contents_are_refused(folder: Path, tmp_path: Path) -> None:
    index = ReferenceIndex.load(folder)
    for query, words in (
        (np.ones(3), "shape"),
        (np.zeros(16), "zeros"),
        (np.ones((1, 16)), "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            index.search(query)
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.ones(16), 0)
    ids, embeddings = sample()
    for words, arguments in (
        ("40 embeddings but 39", (ids[1:], embeddings)),
        ("not a card id", (["../up", *ids[1:]], embeddings)),
        ("expected", ([], np.empty((0, 16)))),
        ("all zeros", (ids, embeddings * 0)),
        ("may not set rows", (ids, embeddings, {"rows": 1})),
        ("may not set artworks", (ids, embeddings, {"artworks": {}})),
        ("artwork of card-x, which is not", (ids, embeddings, {}, {"card-x": "a"})),
    ):
        with pytest.raises(ValueError, match=words):
            write_index(tmp_path / "never", *arguments)
        with pytest.raises(ValueError, match=words):
            write_index(folder, *arguments)
    assert list((tmp_path / "never").rglob("*")) == []
    assert len(ReferenceIndex.load(folder).card_ids) == 40, "what was there is there still"


def test_artworks_are_read_back_and_an_index_without_them_has_one_a_card(
    folder: Path, tmp_path: Path
) -> None:
    ids, embeddings = sample()
    artworks = {"card-3": "dragon", "card-17": "dragon", "card-5": "alone"}
    write_index(tmp_path / "printings", ids, embeddings, artworks=artworks)
    index = ReferenceIndex.load(tmp_path / "printings")
    assert index.artworks == artworks
    assert index.printings("card-3") == ["card-17", "card-3"] == index.printings("card-17")
    assert index.printings("card-5") == ["card-5"] and index.printings("card-6") == ["card-6"]
    assert index.artwork("card-3") == index.artwork("card-17") != index.artwork("card-5")
    assert index.artwork("card-6") != index.artwork("card-7")
    without = ReferenceIndex.load(folder)
    assert without.artworks == {} and without.printings("card-3") == ["card-3"]


def test_cosines_of_named_cards_are_those_of_their_best_rows(tmp_path: Path) -> None:
    _, embeddings = sample(6)
    write_index(tmp_path, ["b", "a", "b", "c", "a", "b"], embeddings)
    index = ReferenceIndex.load(tmp_path)
    query = np.arange(16.0)
    products = index.rows.unit() @ l2_normalise(query)
    found = index.cosines(query, ["b", "c"])
    assert found == pytest.approx({"b": products[[0, 2, 5]].max(), "c": products[3]}, abs=1e-6)
    with pytest.raises(ValueError, match="card d is not in the index"):
        index.cosines(query, ["d"])
