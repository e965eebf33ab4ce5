"""Print the code table that `PROTOCOL.md` lays down: rivals by cross-validation, in seconds.

python benchmarks/code/table.py
"""

from pathlib import Path

from outlay.study.code_bed import render, table

EXAMPLES = Path(__file__).parents[2] / "examples"


def main() -> None:
    print(render(table(EXAMPLES)))


if __name__ == "__main__":
    main()
