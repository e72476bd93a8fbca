"""backpass: the fastest way to train small and medium neural networks on a CPU, from Python."""

from . import callbacks, losses, nn, optim
from .backends import available_backends, get_backend, set_backend, use_backend
from .callbacks import Callback, CSVLogger, EarlyStopping, ProgressBar, ReduceLROnPlateau, TerminateOnNaN
from .errors import NonFiniteError
from .history import History
from .model import Model

__version__ = "0.1.0"
