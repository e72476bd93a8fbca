"""The constructor parameters of CNNClassifier."""

from ...nn import Module
from ..network.parameters import (
    DROPOUT,
    HIDDEN_LAYER_SIZES,
    LABEL_SMOOTHING,
    TRAINING,
    WHOLE,
)
from ..parameters import CLASS_WEIGHT, Parameter

NETWORK = (
    Parameter(
        "channels", "Any", (32, 64), ["array-like", WHOLE],
        "channels of each convolution, a list or one number; a max pooling by 2 follows each", positional=True,
    ),
    Parameter(
        "kernel_size", "Any", 3, [WHOLE, tuple, list],
        "height and width of the windows, one number or a pair; zeros around an image keep its size",
    ),
    HIDDEN_LAYER_SIZES,
    DROPOUT,
    Parameter("batch_norm", "bool", False, ["boolean"], "whether nn.BatchNorm2d follows each convolution"),
    Parameter(
        "network", "Any", None, [None, callable],
        "function (input_shape, n_classes) -> nn.Module with logits as output, which replaces the default network",
        "input_shape is (C, H, W). Name a function of a module, rather than a lambda, where the estimator is to be pickled.",
    ),
    Parameter(
        "augmentation", "Any", None, [None, Module, list, tuple],
        "layers that change the images of each batch while training, such as [nn.RandomShift(2)]; they are copied",
    ),
)  # fmt: skip
CLASSIFIER = (*NETWORK, LABEL_SMOOTHING, CLASS_WEIGHT, *TRAINING)
