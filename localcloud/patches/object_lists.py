"""Lists of a bucket's objects, from an index of its keys.

MiniStack sorts all keys of a bucket that begin with the prefix, whatever the page has room for:
what one list costs would grow with everything that was ever put into the bucket.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from typing import Any, NamedTuple

_ABSENT = object()


class ListedObjects(dict[str, Any]):
    """A bucket's objects by key, which knows their order.

    Args:
        objects: Those that are there already.
    """

    def __init__(self, objects: Mapping[str, Any] | None = None) -> None:
        super().__init__(objects or {})
        self._order = sorted(self)
        self._changing = threading.Lock()

    @property
    def order(self) -> list[str]:
        """The keys in order; not to be changed."""
        return self._order

    def __setitem__(self, key: str, value: Any) -> None:
        with self._changing:
            if key not in self:
                insort(self._order, key)
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        with self._changing:
            super().__delitem__(key)
            del self._order[bisect_left(self._order, key)]

    def pop(self, key: str, default: Any = _ABSENT) -> Any:
        """Removes one and returns it.

        Raises:
            KeyError: There is none, and no default.
        """
        with self._changing:
            if key in self:
                del self._order[bisect_left(self._order, key)]
                return super().pop(key)
        if default is _ABSENT:
            raise KeyError(key)
        return default

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("a bucket's objects are written and removed one by one")

    # MiniStack calls none of these; the index would not see what they do.
    clear = popitem = setdefault = update = __ior__ = _refuse


class Page(NamedTuple):
    """One page of a list: what MiniStack's own function returns."""

    contents: list[str]
    common_prefixes: list[str]
    truncated: bool
    last: str


def page_of(
    objects: ListedObjects, prefix: str, delimiter: str, max_keys: int, start_after: str
) -> Page:
    """The page of a bucket's list that begins after a key or a common prefix.

    Args:
        objects: The bucket's.
        prefix: Of the keys that are listed.
        delimiter: Keys that have it after the prefix are one entry, up to it; may be empty.
        max_keys: How many entries the page has room for.
        start_after: The last entry of the page before; may be empty.
    """
    keys = objects.order
    place = max(bisect_left(keys, prefix), bisect_right(keys, start_after))
    page = Page([], [], False, "")
    last, room = "", max_keys
    while place < len(keys) and (key := keys[place]).startswith(prefix):
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if cut < 0 else key[: cut + len(delimiter)]
        if entry > start_after:
            if not room:
                return Page(page.contents, page.common_prefixes, True, last)
            (page.contents if cut < 0 else page.common_prefixes).append(entry)
            last, room = entry, room - 1
        place = place + 1 if cut < 0 else _end_of(entry, keys, place)
    return page._replace(last=last)


def _end_of(prefix: str, keys: list[str], place: int) -> int:
    """Where the keys end that begin with a prefix; that at ``place`` does."""
    return bisect_left(keys, True, place, key=lambda key: not key.startswith(prefix))


class _Buckets(dict[Any, Any]):
    """All buckets, of which each gets its index when it is made."""

    def __init__(self, buckets: Mapping[Any, Any]) -> None:
        super().__init__()
        for key, bucket in buckets.items():
            self[key] = bucket

    def __setitem__(self, key: Any, bucket: dict[str, Any]) -> None:
        bucket["objects"] = ListedObjects(bucket["objects"])
        super().__setitem__(key, bucket)

    def setdefault(self, key: Any, bucket: Any = None) -> Any:
        """Adds a bucket unless there is one, and returns the one that is there."""
        if key not in self:
            self[key] = bucket
        return self[key]


def list_objects_by_index() -> None:
    """ListObjects and ListObjectsV2 look at the keys of the page alone."""
    from ministack.services import s3

    s3._buckets._data = _Buckets(s3._buckets._data)
    s3._collect_list_entries = page_of
