"""Opening a network with onnxruntime: on the GPU where it can, else on a bounded number of threads.

Here: the session. Not here: which network, what goes in.
"""

from __future__ import annotations

from pathlib import Path

import onnxruntime  # type: ignore[import-untyped]

_ERRORS_ONLY = 3


def open_session(model: Path | bytes, threads: int) -> onnxruntime.InferenceSession:
    """A session of an ONNX file or of its bytes.

    Args:
        threads: that one run may use; other calls of the machine keep the rest.
    Raises:
        ValueError: fewer than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads: must be at least 1 (found {threads})")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Waiting threads would burn the processor that others could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=_providers()
    )


def _providers() -> list[str | tuple[str, dict[str, str]]]:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    # TF32 keeps ten bits of each factor: vectors would differ from the CPU's in the third digit.
    return [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
