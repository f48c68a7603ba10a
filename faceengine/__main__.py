"""`python -m faceengine`; see `faceengine.cli`."""

import sys

from faceengine.cli import main

if __name__ == "__main__":
    sys.exit(main())
