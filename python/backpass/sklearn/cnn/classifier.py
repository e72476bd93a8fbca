"""CNNClassifier: a small convolutional network for image arrays, with scikit-learn's interface."""

import math
from copy import deepcopy
from typing import Any

from ... import nn
from ...data.arrays import check_finite
from ...described import explained
from ..elsewhere import OF_NETWORK
from ..network.classifier import NetworkClassifier
from ..network.documentation import ATTRIBUTES, RAISES
from ..parameters import constraints, documentation, keep_parameters
from .network import default_network
from .parameters import CLASSIFIER, NETWORK
from .reading import as_images


class CNNClassifier(NetworkClassifier):
    __doc__ = f"""Convolutional neural network classifier of images (LeCun et al. 1989), trained by backpropagation.

    The default network is Conv2d, ReLU and MaxPool2d(2) for each of `channels`, then Linear layers on all that is left.

    Args:
        {documentation(CLASSIFIER)}

    Attributes:
        classes_: the labels, sorted. n_outputs_: their number.
        {ATTRIBUTES.format(score="accuracy", features="numbers of an image, C · H · W")}

    Shapes: X (N, C, H, W), or (N, H, W) of one channel: an array or bp.Images. Pixels of dtype uint8 are scaled to 0 ... 1
        while a batch is gathered; other numbers are taken as they are. y (N,) of any labels.

    Raises:
        {RAISES}

    Source: LeCun et al. 1989; the defaults are those of Keras's example of a CNN for MNIST.

    Example:
        >>> import numpy as np
        >>> from backpass.sklearn import CNNClassifier
        >>> X = np.zeros((40, 6, 6), np.uint8)
        >>> X[:20, :, 2], X[20:, 2, :] = 255, 255
        >>> y = ["column"] * 20 + ["row"] * 20
        >>> CNNClassifier((8,), learning_rate_init=0.01, random_state=0).fit(X, y).predict(X[[0, -1]])
        array(['column', 'row'], dtype='<U6')
    """

    _parameter_constraints = constraints(CLASSIFIER)
    _of_the_network = tuple(parameter.name for parameter in NETWORK)

    # Written by tests/sklearn/test_sklearn_constructors.py, from the table in parameters.py.
    @explained(OF_NETWORK)
    def __init__(
        self,
        channels: Any = (32, 64),
        *,
        kernel_size: Any = 3,
        hidden_layer_sizes: Any = (),
        dropout: float = 0.0,
        batch_norm: bool = False,
        network: Any = None,
        augmentation: Any = None,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        solver: Any = "adam",
        learning_rate_init: float = 0.001,
        lr_schedule: Any = None,
        weight_decay: float | None = None,
        clip_grad_norm: float | None = None,
        batch_size: int = 64,
        max_iter: int = 20,
        shuffle: bool = True,
        tol: float = 0.0001,
        n_iter_no_change: float = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        callbacks: Any = None,
        random_state: Any = None,
        verbose: bool | int = False,
        n_threads: int | None = None,
        backend: str = "auto",
        dtype: str = "float32",
        precision: str | None = None,
    ) -> None:
        keep_parameters(self, locals())

    def _rows(self, X: Any, y: Any, reset: bool) -> Any:
        images = as_images(X)
        if y is None and images.dtype.kind == "f":
            check_finite("X", images.pixels)
        shape = images.shape[1:]
        if reset:
            self.input_shape_, self.n_features_in_ = shape, math.prod(shape)
        elif shape != self.input_shape_:
            raise ValueError(
                f"X holds images of shape {shape}, expected {self.input_shape_} (C, H, W) as in fit"
            )
        return images

    def _network(self) -> nn.Module:
        augmentation = self.augmentation if self.augmentation is not None else []
        layers = [augmentation] if isinstance(augmentation, nn.Module) else [*augmentation]
        for number, layer in enumerate(layers):
            if not isinstance(layer, nn.Module):
                raise TypeError(
                    f"augmentation[{number}] is {layer!r:.80}, expected a layer such as nn.RandomShift(2)"
                )
        if self.network is not None:
            net = self._own_network(self.network)
        else:
            parameters = (self.channels, self.kernel_size, self.hidden_layer_sizes)
            net = default_network(
                self.input_shape_, self.n_outputs_, *parameters, float(self.dropout), bool(self.batch_norm)
            )
        if not layers:
            return net
        own = [*net] if isinstance(net, nn.Sequential) else [net]
        return nn.Sequential(*deepcopy(layers), *own)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags
