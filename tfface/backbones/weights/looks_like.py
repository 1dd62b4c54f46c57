"""What network a file of weights seems to be of, for the message that refuses it."""

import re
from collections.abc import Iterable, Mapping

from tfface.backbones.weights.array_files import StoredArray
from tfface.backbones.weights.onnx_file import OnnxWeights

# Blocks of each stage -> the network of that layout.
_IRESNETS = {
    (2, 2, 2, 2): "iresnet18",
    (3, 4, 6, 3): "iresnet34",
    (3, 4, 14, 3): "iresnet50",
    (3, 13, 30, 3): "iresnet100",
}
_BASIC_RESNETS = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet34"}
_BOTTLENECK_RESNETS = {
    (3, 4, 6, 3): "resnet50_torchvision",
    (3, 4, 23, 3): "resnet101_torchvision",
    (3, 8, 36, 3): "resnet152",
}
# Blocks of an IR network -> the number in its name.
_IR = {8: 18, 16: 34, 24: 50, 49: 101, 50: 152}
# A module that only these have -> what to write.
_MODULES = (
    (r"(^|\.)conv_sep\.layers\.", "mobilefacenet"),
    (r"(^|\.)linear7\.conv\.", "mobilefacenet with layout: original"),
    (r"(^|\.)repeat_1\.0\.branch0\.", "inception_resnet_v1"),
    (r"(^|\.)encoder_layer_0\.self_attention\.", "vit_b16 or vit_small"),
    (r"(^|\.)features\.28\.|(^|\.)classifier\.6\.", "vgg13_bn"),
    (r"(^|\.)blocks\.23\.mlp\.fc1\.", "vit_b"),
    (r"(^|\.)feature\.3\.running_mean$", "vit_t or vit_s"),
    (r"(^|\.)patch_embed\.proj\.", "a vision transformer that tfface has no backbone for"),
)
# Convolutions of a graph -> the networks of so many.
_CONVOLUTIONS = {
    21: "iresnet18",
    37: "iresnet34",
    53: "iresnet50",
    103: "iresnet100",
    20: "ir_18",
    36: "ir_34",
    52: "ir_50",
    102: "ir_101",
    100: "ir_se_50",
    200: "ir_se_101",
    49: "mobilefacenet",
    50: "mobilefacenet",
}


def looks_like(arrays: Mapping[str, StoredArray]) -> str:
    """Returns "; it looks like ..." by the names of a file's arrays, or "".

    Args:
        arrays: name -> array.
    """
    found = _by_names(arrays)
    return f"; it looks like {found}" if found else ""


def _by_names(names: Iterable[str]) -> str | None:
    names = list(names)
    if blocks := _numbers(r"(?:^|\.)body\.(\d{1,4})\.res_layer\.", names):
        kind = "ir_se" if any(re.search(r"\.fc1\.weight$", name) for name in names) else "ir"
        number = _IR.get(max(blocks) + 1)
        return (
            f"{kind}_{number}{_layout(names)}"
            if number
            else f"an IR network of {max(blocks) + 1} blocks"
        )
    stages = [_numbers(rf"(?:^|\.)layer{n}\.(\d{{1,4}})\.", names) for n in range(1, 5)]
    if all(stages):
        counts = tuple(max(numbers) + 1 for numbers in stages)
        if any(re.search(r"(^|\.)layer1\.0\.prelu\.", name) for name in names):
            table = _IRESNETS
        elif any(re.search(r"(^|\.)layer1\.0\.conv3\.", name) for name in names):
            table = _BOTTLENECK_RESNETS
        else:
            table = _BASIC_RESNETS
        return table.get(counts, f"a ResNet with {', '.join(map(str, counts))} blocks")
    return next(
        (what for pattern, what in _MODULES if any(re.search(pattern, name) for name in names)),
        None,
    )


def _layout(names: list[str]) -> str:
    # Only face.evoLVe has no batch norm between the two convolutions of a block.
    is_evolve = not any(re.search(r"\.res_layer\.2\.running_mean$", name) for name in names)
    return " with layout: evolve" if is_evolve else ""


def _numbers(pattern: str, names: Iterable[str]) -> set[int]:
    return {int(match[1]) for name in names if (match := re.search(pattern, name))}


def looks_like_graph(weights: OnnxWeights) -> str:
    """Returns "; it looks like ..." by the nodes of a graph, or "".

    Args:
        weights: of the file.
    """
    nodes = list({id(node): node for node in weights.producers.values()}.values())
    convolutions = sum(node.op == "Conv" for node in nodes)
    found = _by_names(weights.arrays) or (
        _CONVOLUTIONS.get(convolutions) if any(node.op == "PRelu" for node in nodes) else None
    )
    held = f"; it holds a graph of {len(nodes)} nodes, {convolutions} of them convolutions"
    return held + (f", and looks like {found}" if found else "")
