"""Between numpy's arrays of profile ids and Roaring bitmaps, a container at a time.

pyroaring adds 400,000 ids of an array one by one in 5 ms. Written as the containers of Roaring's portable format
(https://github.com/RoaringBitmap/RoaringFormatSpec) they are there in half a millisecond. A chunk of 65,536 ids is one
container, so what the index keeps by chunk goes in and out without a search.
"""

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

CHUNK_BITS: Final = 16
CHUNK_SIZE: Final = 1 << CHUNK_BITS
Ids = NDArray[np.uint64]
Lows = NDArray[np.uint16]
Mask = NDArray[np.bool_]

_COOKIE: Final = 12346  # of bitmaps without run containers
_MOST_IN_ARRAY: Final = 4096
_FEW: Final = 2000
_SPREAD: Final = 64 * 2**20  # ids; a byte each
_OF_HIGH: Final = 1 << 16  # chunks that share the upper 32 bits of their ids


def to_array(ids: BitMap64) -> Ids:
    """Return the ids of a set, rising."""
    return np.frombuffer(ids.to_array(), dtype=np.uint64)


def from_ids(ids: NDArray[Any]) -> BitMap64:
    """Return the set of ids that rise; they may repeat."""
    if len(ids) <= _FEW:
        return BitMap64(array("Q", ids.astype(np.uint64).tobytes()))
    chunks = ids >> np.uint64(CHUNK_BITS)
    starts = np.flatnonzero(np.concatenate(([True], chunks[1:] != chunks[:-1])))
    lows = np.split((ids & np.uint64(CHUNK_SIZE - 1)).astype(np.uint16), starts[1:])
    return from_chunks(dict(zip(chunks[starts].tolist(), lows, strict=True)))


def from_chunks(chunks: Mapping[int, Lows]) -> BitMap64:
    """Return the set of ids given by chunk: their low 16 bits, rising; they may repeat."""
    return _from_containers({chunk: _container(lows) for chunk, lows in chunks.items() if len(lows)})


def from_masks(chunks: Mapping[int, Mask]) -> BitMap64:
    """Return the set of ids given by chunk: which of its 65,536 are there."""
    return _from_containers({chunk: _container_of_mask(there) for chunk, there in chunks.items()})


def _from_containers(found: Mapping[int, tuple[bytes, int]]) -> BitMap64:
    highs: dict[int, list[int]] = {}
    for chunk in sorted(found):
        if found[chunk][1]:
            highs.setdefault(chunk // _OF_HIGH, []).append(chunk)
    parts = [struct.pack("<Q", len(highs))]
    for high, keys in highs.items():
        parts.append(struct.pack("<I", high))
        parts += _bitmap([(key % _OF_HIGH, *found[key]) for key in keys])
    return BitMap64.deserialize(b"".join(parts))


def _bitmap(found: Iterable[tuple[int, bytes, int]]) -> list[bytes]:
    """Return a bitmap of 32 bits in the portable format: header, places, containers."""
    heads, bodies = [], []
    for key, body, count in found:
        heads.append((key, count))
        bodies.append(body)
    place = 8 + 8 * len(heads)
    places = []
    for body in bodies:
        places.append(place)
        place += len(body)
    return [
        struct.pack("<II", _COOKIE, len(heads)),
        b"".join(struct.pack("<HH", key, count - 1) for key, count in heads),
        struct.pack(f"<{len(places)}I", *places),
        *bodies,
    ]


def _container(lows: Lows) -> tuple[bytes, int]:
    if len(lows) <= _MOST_IN_ARRAY:
        lows = lows[np.concatenate(([True], lows[1:] != lows[:-1]))]
        return lows.astype("<u2").tobytes(), len(lows)
    return _container_of_mask(mask_of(lows))


def _container_of_mask(there: Mask) -> tuple[bytes, int]:
    count = int(np.count_nonzero(there))
    if count <= _MOST_IN_ARRAY:
        return np.flatnonzero(there).astype("<u2").tobytes(), count
    return np.packbits(there, bitorder="little").tobytes(), count


def from_rows(ids: Sequence[NDArray[Any]]) -> BitMap64:
    """Return the set of the ids of several arrays, in any order."""
    found = [each for each in ids if len(each)]
    if not found:
        return BitMap64()
    if sum(map(len, found)) <= _FEW:
        return BitMap64(array("Q", np.concatenate(found).astype(np.uint64).tobytes()))
    first, last = min(int(each.min()) for each in found), max(int(each.max()) for each in found)
    first -= first % CHUNK_SIZE
    if last - first > _SPREAD:  # ids of a project that has few among many
        return from_ids(np.sort(np.concatenate(found)))
    there = np.zeros(-(-(last + 1 - first) // CHUNK_SIZE) * CHUNK_SIZE, dtype=np.bool_)
    for each in found:
        there[each - np.uint64(first)] = True
    begin = first // CHUNK_SIZE
    return from_masks({begin + place: part for place, part in enumerate(there.reshape(-1, CHUNK_SIZE))})


def pack_ids(ids: Ids) -> bytes:
    """Return ids that rise, and may repeat, as bytes: their chunks with how many each has, and 2 bytes for each id."""
    chunks, counts = np.unique(ids >> np.uint64(CHUNK_BITS), return_counts=True)
    lows: bytes = (ids & np.uint64(CHUNK_SIZE - 1)).astype("<u2").tobytes()
    return b"".join((struct.pack("<I", len(chunks)), chunks.astype("<u8").tobytes(), counts.astype("<u4").tobytes(), lows))


def unpack_ids(stored: bytes) -> Ids:
    """Read what `pack_ids` wrote."""
    if not stored:  # the rows of a month
        return np.zeros(0, dtype=np.uint64)
    (count,) = struct.unpack_from("<I", stored)
    chunks = np.frombuffer(stored, dtype="<u8", count=count, offset=4)
    counts = np.frombuffer(stored, dtype="<u4", count=count, offset=4 + 8 * count)
    lows = np.frombuffer(stored, dtype="<u2", offset=4 + 12 * count)
    ids: Ids = np.repeat(chunks << np.uint64(CHUNK_BITS), counts) | lows
    return ids


def chunks_of(ids: BitMap64) -> dict[int, Lows]:
    """Return the ids of a set by chunk: their low 16 bits, rising."""
    found = to_array(ids)
    if not len(found):
        return {}
    chunks = found >> np.uint64(CHUNK_BITS)
    starts = np.flatnonzero(np.concatenate(([True], chunks[1:] != chunks[:-1])))
    lows = np.split((found & np.uint64(CHUNK_SIZE - 1)).astype(np.uint16), starts[1:])
    return dict(zip(chunks[starts].tolist(), lows, strict=True))


def lows_of(ids: BitMap64) -> Lows:
    """Return the low 16 bits of the ids of one chunk, rising."""
    return (to_array(ids) & np.uint64(CHUNK_SIZE - 1)).astype(np.uint16)


def mask_of(lows: Lows) -> Mask:
    """Return which of the 65,536 ids of a chunk are there."""
    there = np.zeros(CHUNK_SIZE, dtype=np.bool_)
    there[lows] = True
    return there
