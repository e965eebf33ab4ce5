"""`python -m outlay` is `outlay`."""

from outlay.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
