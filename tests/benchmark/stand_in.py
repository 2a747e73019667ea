"""A worker that speaks the protocol and measures nothing: its answers are in contenders' names.

The name is the file's text after the colon: seconds of the first and of the later repetitions,
comma-separated, or one of the mishaps below. Run as a program; imports nothing but the standard
library, and so starts in a moment.
"""

import json
import os
import sys
import time

#: Variables that are reported among the versions.
TOLD = ("KERAS_BACKEND", "TF_FORCE_GPU_ALLOW_GROWTH")
MISHAPS = {
    "crash": lambda: sys.exit("Traceback\nMemoryError: too much of it"),
    "silence": lambda: time.sleep(60),
    "nothing": lambda: sys.exit(0),
}


def main():
    number = 0
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "prepare":
            task = request["task"]
            name = task["contender"].partition(":")[2]
            mishap, _, when = name.partition("@")
            settings = task["settings"]
            answer = {"items": settings["batch_size"], "image_size": settings["image_size"]}
        elif request["do"] == "repeat":
            if mishap in MISHAPS and number == int(when):
                MISHAPS[mishap]()
            seconds = [1.0] if mishap in MISHAPS else [float(part) for part in name.split(",")]
            answer = {"seconds": seconds[min(number, len(seconds) - 1)]}
            number += 1
        else:
            told = {key: os.environ[key] for key in TOLD if key in os.environ}
            answer = {"peak": 2**20 * (100 + len(name)), "device": "cpu"}
            answer["versions"] = {"slide-rule": "1", **told}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
