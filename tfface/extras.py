"""Packages that not everybody needs, and what to say where one is missing."""

import sys

# Package -> the extra of tfface that brings it.
EXTRAS = {
    "ai_edge_litert": "litert",
    "cv2": "align",
    "faiss": "search",
    "jax": "jax",
    "joblib": "align",
    "keras_cv": "keras-cv",
    "lz4": "align",
    "mtcnn": "align",
    "numcodecs": "bcolz",
    "onnx": "export",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "tensorflow_datasets": "tfds",
    "tf2onnx": "export",
}


def not_installed(package: str, hint: str | None = None) -> str:
    """Returns one line on a package that is missing.

    Args:
        package: as it is imported.
        hint: what to do about it; None for `pip install`.

    Example:
        >>> not_installed("faiss").partition("; ")[2]
        "install it: pip install 'tfface[search]'"
    """
    extra = EXTRAS.get(package)
    what = f"'tfface[{extra}]'" if extra else package
    advice = hint or f"install it: pip install {what}"
    return f"{package} is not installed for {sys.executable}; {advice}"
