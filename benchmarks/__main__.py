"""`make bench`: the whole service; `python -m benchmarks.engine`, `.hog` and others by name."""

from benchmarks.service import main

main()
