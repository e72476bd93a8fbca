"""What a child process of a test needs to import backpass and the tests' own modules."""

import os
import sys
from pathlib import Path

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
