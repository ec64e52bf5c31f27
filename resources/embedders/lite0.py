"""EfficientNet-Lite0 as an ONNX graph, built from the weights of a PyTorch checkpoint.

Here: the architecture. Not here: reading the checkpoint (`legacy_checkpoint`), preparing pictures (`image`).

EfficientNet (Tan and Le 2019, arXiv 1905.11946) in its Lite0 form: a 3×3 stem, sixteen inverted bottlenecks
without squeeze-and-excitation, a 1×1 head to 1,280 channels, ReLU6 throughout, TensorFlow's "same" padding,
batch normalisation with ε = 0.001, which is folded into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT, FEATURES, LOGITS = "pixels", "features", "logits"
DIMENSIONS = 1280
CLASSES = 1000
"""Of ImageNet's 2012 challenge, in its order."""

_BATCH_NORM_EPSILON = 1e-3
_OPSET = 17
_IR_VERSION = 8
# How many blocks, kernel, stride of the first, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32

Tensors = Mapping[str, npt.NDArray[Any]]


def lite0_graph(tensors: Tensors) -> bytes:
    """The network as a serialised ONNX model.

    Input `pixels`: float32 (pictures, 3, height, width), scaled as `image.prepared` does. Outputs: `features`
    (pictures, 1280), the mean of the head's activations over the picture, and `logits` (pictures, 1000).

    Args:
        tensors: the checkpoint's state dictionary.
    Raises:
        ValueError: a tensor is missing, of another shape, or left over: these are other weights.
    """
    network = _Network(tensors)
    last = network.convolution(INPUT, "_conv_stem", "_bn0", (_STEM_CHANNELS, 3, 3, 3), stride=2)
    last = network.clipped(last)
    channels, block = _STEM_CHANNELS, 0
    for repeats, kernel, first_stride, expansion, out in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            last = network.bottleneck(last, f"_blocks.{block}", channels, out, kernel, stride, expansion)
            channels, block = out, block + 1
    last = network.clipped(network.convolution(last, "_conv_head", "_bn1", (DIMENSIONS, channels, 1, 1)))
    return network.finished(last)


class _Network:
    """Nodes and weights as they are added; takes each tensor of the checkpoint once."""

    def __init__(self, tensors: Tensors) -> None:
        self._left = dict(tensors)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = [
            numpy_helper.from_array(np.array(limit, dtype=np.float32), name)
            for name, limit in (("zero", 0), ("six", 6))
        ]

    def convolution(
        self, source: str, name: str, norm: str, shape: tuple[int, ...], stride: int = 1, groups: int = 1
    ) -> str:
        """A convolution and the batch normalisation after it, folded into one."""
        kernel = self._take(f"{name}.weight", shape).astype(np.float64)
        scale, shift, mean, variance = (
            self._take(f"{norm}.{part}", shape[:1]).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        self._take(f"{norm}.num_batches_tracked", ())
        factor = scale / np.sqrt(variance + _BATCH_NORM_EPSILON)
        inputs = [
            source,
            self._weight(f"{name}.kernel", kernel * factor[:, None, None, None]),
            self._weight(f"{name}.bias", shift - mean * factor),
        ]
        return self._node("Conv", inputs, name, strides=[stride, stride], group=groups, auto_pad="SAME_UPPER")

    def bottleneck(
        self, source: str, name: str, channels: int, out: int, kernel: int, stride: int, expansion: int
    ) -> str:
        """Widen, convolve each channel on its own, narrow; with a way around where the shape stays."""
        last, wide = source, channels * expansion
        if expansion > 1:
            last = self.clipped(
                self.convolution(last, f"{name}._expand_conv", f"{name}._bn0", (wide, channels, 1, 1))
            )
        depthwise = self.convolution(
            last, f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, kernel, kernel), stride, groups=wide
        )
        last = self.convolution(
            self.clipped(depthwise), f"{name}._project_conv", f"{name}._bn2", (out, wide, 1, 1)
        )
        return self._node("Add", [last, source], f"{name}.sum") if stride == 1 and channels == out else last

    def clipped(self, source: str) -> str:
        return self._node("Clip", [source, "zero", "six"], f"{source}.relu6")

    def finished(self, head: str) -> bytes:
        """The model from the head's activations on."""
        pooled = self._node("GlobalAveragePool", [head], "pooled")
        self._nodes.append(helper.make_node("Flatten", [pooled], [FEATURES]))
        weight = self._weight("classes.weight", self._take("_fc.weight", (CLASSES, DIMENSIONS)))
        bias = self._weight("classes.bias", self._take("_fc.bias", (CLASSES,)))
        self._nodes.append(helper.make_node("Gemm", [FEATURES, weight, bias], [LOGITS], transB=1))
        if self._left:
            raise ValueError(f"tensors that EfficientNet-Lite0 has no place for: {sorted(self._left)[:3]}")
        graph = helper.make_graph(
            self._nodes,
            "efficientnet-lite0",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["pictures", 3, "height", "width"])],
            [
                helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["pictures", DIMENSIONS]),
                helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["pictures", CLASSES]),
            ],
            self._weights,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        onnx.checker.check_model(model)
        serialised: bytes = model.SerializeToString()
        return serialised

    def _take(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        found = self._left.pop(name, None)
        if found is None or found.shape != shape:
            what = "absent" if found is None else f"of shape {found.shape}"
            raise ValueError(f"EfficientNet-Lite0 needs {name} of shape {shape}; it is {what}")
        return found

    def _weight(self, name: str, values: npt.NDArray[Any]) -> str:
        self._weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output
