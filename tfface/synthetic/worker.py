"""One process of `pool.py`: reads its task from stdin, writes raw pictures to stdout."""

import json
import sys

from tfface.synthetic.portrait import render


def main() -> None:
    task = json.load(sys.stdin)
    for identity, image in task["faces"]:
        picture = render(identity, image, task["size"], task["seed"])
        sys.stdout.buffer.write(picture.tobytes())


if __name__ == "__main__":
    main()
