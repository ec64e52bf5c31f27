"""Reading PyTorch's older checkpoint files without PyTorch, and without running what they say.

Here: the format `torch.save` wrote before 1.6 (pickles, then the raw numbers of each storage). Not here: what
the tensors mean. A pickle may name any function to call; this reader knows four names and refuses all others.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


class CheckpointError(ValueError):
    """The bytes are no legacy checkpoint of plain tensors."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(*arguments: Any) -> _Tensor:
    match arguments:
        case (_Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
            if len(shape) == len(strides) and all(type(each) is int for each in (*shape, *strides)):
                return _Tensor(storage, offset, shape, strides)
    raise CheckpointError("the checkpoint describes a tensor in a way this reader does not know")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise CheckpointError(f"the checkpoint wants {module}.{name}; only plain tensors are read")
        return _ADMITTED[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        match saved:
            case ("storage", "<f4" | "<i8" as dtype, str(key), str(), int(count), None):
                return _Storage(key, dtype, count)
        raise CheckpointError("the checkpoint refers to something that is not a whole storage")


def read_legacy_checkpoint(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a state dictionary by name, as arrays.

    Args:
        content: the whole file, written on a little-endian machine.
    Raises:
        CheckpointError: another format, other than tensors of 32-bit floats and 64-bit integers, cut off.
    """
    file = BytesIO(content)
    try:
        header = [_Reader(file).load() for _ in range(3)]
        if header[0] != _MAGIC or header[1] != _PROTOCOL or header[2].get("little_endian") is not True:
            raise CheckpointError("not a legacy little-endian checkpoint")
        tensors = _Reader(file).load()
        keys = _Reader(file).load()
    except CheckpointError:
        raise
    except Exception as error:  # what a broken pickle raises is anything
        raise CheckpointError(f"not a legacy checkpoint: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(value, _Tensor) for value in tensors.values()):
        raise CheckpointError("not a dictionary of tensors")
    storages = {value.storage.key: value.storage for value in tensors.values()}
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise CheckpointError("the storages listed are not those the tensors use")
    numbers = {key: _numbers(file, storages[key]) for key in keys}
    return {name: _array(name, value, numbers[value.storage.key]) for name, value in tensors.items()}


def _numbers(file: BytesIO, storage: _Storage) -> npt.NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    size = storage.count * np.dtype(storage.dtype).itemsize
    raw = file.read(size) if count == storage.count else b""
    if count != storage.count or len(raw) != size:
        raise CheckpointError(f"storage {storage.key} is cut off or of another size")
    return np.frombuffer(raw, dtype=storage.dtype)


def _array(name: str, tensor: _Tensor, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    steps = [(length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)]
    if (
        min((*tensor.shape, *tensor.strides, 1)) < 1
        or tensor.offset < 0
        or tensor.offset + sum(steps) >= len(numbers)
    ):
        raise CheckpointError(f"{name}: reaches outside its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
