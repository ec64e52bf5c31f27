"""Legacy checkpoints are read as arrays; what could run code or reach too far is refused."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from resources.embedders.legacy_checkpoint import CheckpointError, read_legacy_checkpoint

MAGIC = 0x1950A86A20F9469CFC6C


class Named:
    """Something a pickle refers to by module and name, called with arguments."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments


def as_pickle(value: object) -> bytes:
    """A pickle by hand, so that it may name what is not installed."""
    match value:
        case Named():
            head = f"c{value.module}\n{value.name}\n".encode()
            return head if not value.arguments else head + as_pickle(value.arguments) + b"R"
        case ("persistent", *parts):
            return as_pickle(tuple(parts)) + b"Q"
        case tuple():
            return b"(" + b"".join(as_pickle(each) for each in value) + b"t"
        case dict():
            return b"}" + b"".join(as_pickle(key) + as_pickle(each) + b"s" for key, each in value.items())
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(kind="FloatStorage", key="0", count=6, offset=0, shape=(2, 3), strides=(3, 1)) -> Named:
    storage = ("persistent", "storage", Named("torch", kind), key, "cpu", count, None)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def checkpoint(tensors: dict, storages: dict[str, np.ndarray], magic: int = MAGIC) -> bytes:
    out = io.BytesIO()
    for part in (magic, 1001, {"protocol_version": 1001, "little_endian": True}):
        out.write(pickle.dumps(part, protocol=2))
    out.write(b"\x80\x02" + as_pickle(tensors) + b".")
    out.write(pickle.dumps(list(storages), protocol=2))
    for values in storages.values():
        out.write(struct.pack("<q", values.size) + values.tobytes())
    return out.getvalue()


SIX = np.arange(6, dtype="<f4")


def test_tensors_come_back_with_shape_strides_and_type():
    content = checkpoint(
        {
            "plain": tensor(),
            "transposed": tensor(shape=(3, 2), strides=(1, 3)),
            "part": tensor(offset=4, shape=(2,), strides=(1,)),
            "count": tensor("LongStorage", key="1", count=1, shape=(), strides=()),
        },
        {"0": SIX, "1": np.array([7], dtype="<i8")},
    )
    read = read_legacy_checkpoint(content)
    np.testing.assert_array_equal(read["plain"], SIX.reshape(2, 3))
    np.testing.assert_array_equal(read["transposed"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(read["part"], [4, 5])
    assert read["count"] == 7
    assert read["count"].dtype == np.int64


@pytest.mark.parametrize(
    "named",
    [
        Named("os", "system", "touch /tmp/never"),
        Named("builtins", "eval", "1"),
        Named("numpy", "zeros", 3),
        Named("torch", "HalfStorage"),
        Named("collections", "defaultdict"),
    ],
    ids=lambda named: named.name,
)
def test_a_checkpoint_that_names_anything_else_is_refused_before_it_runs(named):
    with pytest.raises(CheckpointError, match=rf"wants {named.module}\.{named.name}"):
        read_legacy_checkpoint(checkpoint({"weight": named}, {}))


@pytest.mark.parametrize(
    "reaching",
    [
        tensor(shape=(7,), strides=(1,)),
        tensor(shape=(2, 3), strides=(4, 1)),
        tensor(offset=-1),
        tensor(offset=1),
        tensor(strides=(-3, 1)),
        tensor(shape=(2, 0)),
    ],
    ids=["long", "strides", "before", "offset", "backwards", "empty"],
)
def test_a_tensor_that_reaches_outside_its_storage_is_refused(reaching):
    with pytest.raises(CheckpointError, match="weight: reaches outside"):
        read_legacy_checkpoint(checkpoint({"weight": reaching}, {"0": SIX}))


def test_what_is_no_such_checkpoint_is_refused():
    whole = checkpoint({"weight": tensor()}, {"0": SIX})
    assert set(read_legacy_checkpoint(whole)) == {"weight"}
    for content in (
        b"",
        b"PK\x03\x04 the newer format is a zip",
        whole[:-1],
        whole[:60],
        checkpoint({"weight": tensor()}, {"0": SIX}, magic=5),
        checkpoint({"weight": tensor()}, {"0": SIX[:5]}),
        checkpoint({"weight": tensor()}, {}),
        checkpoint({"weight": 5}, {}),
        checkpoint({"weight": tensor(strides=(1,))}, {"0": SIX}),
        checkpoint({"weight": tensor(shape="23")}, {"0": SIX}),
    ):
        with pytest.raises(CheckpointError):
            read_legacy_checkpoint(content)
