"""Write a trained model as a file of another runtime: ONNX, LiteRT, SavedModel or OpenVINO.

Example:
    tfface export runs/quickstart --format onnx litert
    tfface export runs/my_run --output face.tflite --quantize int8 --calibration data/faces
    tfface export runs/my_run --output face.onnx --flip --normalized --pairs lfw=data/lfw/pairs.txt

The file takes uint8 pixels, RGB [n, height, width, 3], and returns float32 embeddings; the input
normalization is inside. It is compared with the original, and not kept if it differs. A model card
lies beside it. 'tfface evaluate verification FILE' needs no options then.
"""

import argparse
from pathlib import Path

from tfface.cli import command, model_options, outputs
from tfface.errors import InputError, say

# Names of formats, and what the files in exports/ are called: the room itself needs TensorFlow.
_ENDS = {
    "onnx": ".onnx",
    "litert": ".tflite",
    "saved_model": "_saved_model",
    "openvino": ".xml",
}
_QUANTIZATIONS = ("float16", "int8", "weights-int8")
# How the files of --json begin.
_JSON_LINES = ("{", '  "model": ', '  "original": ', '    "format": "keras"')


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    if not options.format and options.output is None:
        raise InputError(f"give --format, one or more of {', '.join(_ENDS)}, or --output FILE")
    command.import_tensorflow_quietly()
    import tfface
    from tfface.api.exporting import make_exporter
    from tfface.exporting.exporter import check_export, to_text
    from tfface.exporting.formats import check_installed, find_format
    from tfface.exporting.options import ExportOptions
    from tfface.exporting.output_files import files_beside
    from tfface.files import write_json
    from tfface.output_paths import check_distinct, check_replaceable, json_mark

    chosen = ExportOptions(
        normalized=options.normalized,
        flip=options.flip,
        batch_size=options.batch_size,
        layout=options.layout,
        input_range=options.input_range,
        quantize=options.quantize,
        opset=options.opset,
        float_layers=options.float_layers,
    )
    if options.json:
        check_replaceable(options.json, json_mark(*_JSON_LINES), overwrite=options.overwrite)
    outputs.check_results(options)
    # The formats don't depend on the model's name.
    for path, name in _paths(options, "model"):
        check_installed(find_format(path, name))
    embedder = tfface.load_embedder(options.model, data_dir=options.data_dir, overrides=options.set)
    written = _paths(options, embedder.name)
    outputs_of_each = {str(path): path for path, _ in written}
    beside = {
        f"the {file.suffix} file of {path}": file
        for path, name in written
        for file in files_beside(path, name)
    }
    check_distinct(
        {"--json": options.json, "--results": options.results, **beside}, outputs_of_each
    )
    for path, name in written:
        check_export(path, name, chosen, overwrite=options.overwrite)
    exporter = make_exporter(
        embedder,
        chosen,
        calibration=options.calibration,
        pairs=options.pairs,
        image_root=options.image_root,
        num_images=options.num_images,
        license=options.license,
        timing=options.timing,
    )
    results = []
    for path, name in written:
        results.append(exporter.write(path, name, overwrite=options.overwrite))
    files = [exporter.original, *results]
    say(to_text(files))
    if options.json:
        content = {
            "model": embedder.name,
            "original": exporter.original.to_dict(),
            "exports": [result.to_dict() for result in results],
        }
        write_json(options.json, content)
        say(f"metrics: {options.json}")
    rows = [file.row() for file in files]
    for row in rows:
        row["model"] = options.label or options.model
    outputs.append_results(options, rows)
    for result in results:
        say(result.path)


def _paths(options: argparse.Namespace, name: str) -> list[tuple[Path, str | None]]:
    """Returns the path of each file, and its format; None for that of the suffix."""
    formats = list(dict.fromkeys(options.format))
    output = options.output
    # A SavedModel is a folder itself.
    is_folder = output is not None and not output.suffix and formats not in ([], ["saved_model"])
    if output is not None and len(formats) < 2 and not is_folder:
        return [(output, formats[0] if formats else None)]
    folder = output or Path("exports")
    if folder.suffix in _ENDS.values():
        raise InputError(f"--output {folder}: give a folder for {len(formats)} formats")
    stem = f"{name}_{options.quantize}" if options.quantize else name
    return [(folder / f"{stem}{_ENDS[format]}", format) for format in formats]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.Parser(description=__doc__)
    parser.add_argument(
        "model",
        type=command.path_text,
        metavar="MODEL",
        help="a run folder, a .keras file, or a recipe (the network it starts from)",
    )
    parser.add_argument(
        "--format",
        nargs="+",
        choices=list(_ENDS),
        default=[],
        metavar="FORMAT",
        help=f"{', '.join(_ENDS)}; one or more (default: that of the suffix of --output)",
    )
    parser.add_argument(
        "--output",
        type=command.path,
        metavar="PATH",
        help="the file to write, or, without a suffix, the folder for files named after the model; "
        "for saved_model alone, the SavedModel's own folder (default: exports/NAME.onnx and so on)",
    )
    group = parser.add_argument_group("what the file computes")
    group.add_argument("--normalized", action="store_true", help="embeddings have norm 1")
    group.add_argument(
        "--flip",
        action="store_true",
        help="return the sum of the embeddings of the image and of its mirror image",
    )
    group.add_argument(
        "--batch-size",
        type=command.batch_size,
        metavar="N",
        help="take exactly N images at a time (default: any number)",
    )
    group.add_argument(
        "--layout",
        choices=["nhwc", "nchw"],
        default="nhwc",
        help="[n, height, width, 3] or [n, 3, height, width] (default nhwc)",
    )
    group.add_argument(
        "--input-range",
        metavar="RANGE",
        help="take float32 pixels of this range, as in -1..1, 0..255 or '(x-127.5)/128' (default: "
        "uint8 pixels)",
    )
    group.add_argument(
        "--quantize",
        choices=list(_QUANTIZATIONS),
        help="float16 for onnx, litert and openvino; int8 or weights-int8 for litert (default: "
        "float32)",
    )
    group.add_argument(
        "--float-layers",
        type=command.positive,
        default=0,
        metavar="N",
        help="with int8 or weights-int8, leave the first N layers in float32",
    )
    group.add_argument(
        "--opset", type=command.positive, metavar="N", help="version of ONNX's operations"
    )
    group = parser.add_argument_group("how it is compared with the original")
    group.add_argument(
        "--calibration",
        metavar="SOURCE",
        help="aligned faces on which int8 measures ranges: a folder, or what 'tfface convert' "
        "reads (default: the images of --pairs, or synthetic faces)",
    )
    group.add_argument(
        "--pairs",
        metavar="PAIRS",
        help="measure verification accuracy before and after: a set as 'tfface evaluate "
        "verification' takes it",
    )
    group.add_argument(
        "--image-root",
        type=command.path,
        metavar="DIR",
        help="images of a list of pairs (default: the folder images beside it)",
    )
    group.add_argument(
        "--num-images",
        type=command.positive,
        default=32,
        metavar="N",
        help="compare N faces: of --pairs, of --calibration, or synthetic ones (default 32)",
    )
    group.add_argument(
        "--no-timing",
        dest="timing",
        action="store_false",
        help="don't measure milliseconds for each image",
    )
    parser.add_argument("--license", metavar="TEXT", help="of the weights, for the model card")
    parser.add_argument(
        "--label", type=command.label, help="what tables call the model (default: MODEL)"
    )
    parser.add_argument(
        "--json", type=command.path, metavar="FILE", help="write all figures to this file"
    )
    outputs.add_results(parser, "add the figures of the table to this file")
    outputs.add_overwrite(parser, "--output, the model card and --json")
    parser.add_argument(
        "--data-dir",
        type=command.path,
        default=command.DATA_DIR,
        help="where a recipe's relative paths start (default: $TFFACE_DATA or data)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace one value of a recipe; may be given several times",
    )
    return model_options.parse(parser, arguments)
