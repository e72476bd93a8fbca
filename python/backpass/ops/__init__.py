"""What is computed: every op as a short NumPy function, the contract of all backends. Importing this room registers every op."""

from .accuracy import argmax, correct_classes, correct_logits
from .attention import attention_backward, attention_forward, attention_step
from .augment import augment_images_backward, augment_images_forward, gaussian_noise
from .avg_pool import (
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool2d_forward,
    avg_pool2d_backward,
    avg_pool2d_forward,
)
from .batch import advance, append_labels, append_rows, gather, gather_images, gather_labels, shuffle
from .batch_norm import batch_norm_backward, batch_norm_forward, batch_norm_inference, batch_norm_track
from .batch_norm_rows import (
    batch_norm_moments,
    batch_norm_rows,
    batch_norm_rows_backward,
    batch_norm_rows_backward_weight,
    parts_of_rows,
)
from .class_loss import nll, softmax_cross_entropy
from .clip import clip_scale, gradient_norm
from .contract import NUMBERS, REGISTRY, Op
from .conv import conv2d_backward, conv2d_forward
from .conv_transpose import conv_transpose2d_backward, conv_transpose2d_forward
from .dropout import channel_dropout_backward, channel_dropout_forward, dropout_backward, dropout_forward
from .elementwise import activation_backward, activation_forward, add, to_number
from .embedding_bag import (
    embedding_bag_backward,
    embedding_bag_backward_weight,
    embedding_bag_forward,
)
from .expression import expression
from .group_norm import group_norm_backward, group_norm_backward_weight, group_norm_forward
from .image_transforms import (
    crop_images_backward,
    crop_images_forward,
    jitter_images_backward,
    jitter_images_forward,
    rotate_images_backward,
    rotate_images_forward,
)
from .index_arithmetic import index_function, index_where, to_index
from .indexing import (
    embedding_backward,
    embedding_backward_weight,
    embedding_forward,
    gather_backward,
    gather_forward,
)
from .layer_norm import layer_norm_backward, layer_norm_forward
from .linear import linear_backward, linear_forward
from .matmul import matmul_backward, matmul_forward
from .max_pool import (
    adaptive_max_pool2d_backward,
    adaptive_max_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from .mean_loss import mean_loss, sum_losses
from .measure import dead_units, multiply_add, part_norms, saturated_units
from .mixup import mixed_loss, mixup_backward, mixup_draw, mixup_forward
from .penalty import l2_gradient, l2_loss
from .pointwise_loss import gaussian_nll, pointwise_loss
from .recurrent import (
    gru_backward,
    gru_backward_weight,
    gru_forward,
    lstm_backward,
    lstm_backward_weight,
    lstm_forward,
    rnn_backward,
    rnn_backward_weight,
    rnn_forward,
)
from .reduction import max_backward, max_forward, reduce_sum
from .resize import resize_backward, resize_forward
from .rms_norm import rms_norm_backward, rms_norm_forward
from .schedule import (
    cosine_schedule,
    exponential_schedule,
    one_cycle_schedule,
    piecewise_schedule,
    step_schedule,
)
from .softmax import softmax_backward, softmax_forward
from .sparse_linear import sparse_linear_backward, sparse_linear_forward
from .table_rows import gather_rows, scatter_rows
from .update import (
    adadelta_step,
    adagrad_step,
    adam_step,
    lion_step,
    nadam_momentum,
    nadam_step,
    rmsprop_step,
    sgd_step,
)

__all__ = [
    "NUMBERS",
    "REGISTRY",
    "Op",
    "activation_backward",
    "activation_forward",
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool2d_forward",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool2d_forward",
    "add",
    "advance",
    "append_labels",
    "append_rows",
    "argmax",
    "attention_backward",
    "attention_forward",
    "attention_step",
    "augment_images_backward",
    "augment_images_forward",
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "batch_norm_inference",
    "batch_norm_moments",
    "batch_norm_rows",
    "batch_norm_rows_backward",
    "batch_norm_rows_backward_weight",
    "batch_norm_track",
    "channel_dropout_backward",
    "channel_dropout_forward",
    "clip_scale",
    "conv2d_backward",
    "conv2d_forward",
    "conv_transpose2d_backward",
    "conv_transpose2d_forward",
    "correct_classes",
    "correct_logits",
    "cosine_schedule",
    "crop_images_backward",
    "crop_images_forward",
    "dead_units",
    "dropout_backward",
    "dropout_forward",
    "embedding_backward",
    "embedding_backward_weight",
    "embedding_bag_backward",
    "embedding_bag_backward_weight",
    "embedding_bag_forward",
    "embedding_forward",
    "exponential_schedule",
    "expression",
    "gather",
    "gather_backward",
    "gather_forward",
    "gather_images",
    "gather_labels",
    "gather_rows",
    "gaussian_nll",
    "gaussian_noise",
    "gradient_norm",
    "group_norm_backward",
    "group_norm_backward_weight",
    "group_norm_forward",
    "gru_backward",
    "gru_backward_weight",
    "gru_forward",
    "index_function",
    "index_where",
    "jitter_images_backward",
    "jitter_images_forward",
    "l2_gradient",
    "l2_loss",
    "layer_norm_backward",
    "layer_norm_forward",
    "linear_backward",
    "linear_forward",
    "lion_step",
    "lstm_backward",
    "lstm_backward_weight",
    "lstm_forward",
    "matmul_backward",
    "matmul_forward",
    "max_backward",
    "max_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "mean_loss",
    "mixed_loss",
    "mixup_backward",
    "mixup_draw",
    "mixup_forward",
    "multiply_add",
    "nadam_momentum",
    "nadam_step",
    "nll",
    "one_cycle_schedule",
    "part_norms",
    "parts_of_rows",
    "piecewise_schedule",
    "pointwise_loss",
    "reduce_sum",
    "resize_backward",
    "resize_forward",
    "rms_norm_backward",
    "rms_norm_forward",
    "rmsprop_step",
    "rnn_backward",
    "rnn_backward_weight",
    "rnn_forward",
    "rotate_images_backward",
    "rotate_images_forward",
    "saturated_units",
    "scatter_rows",
    "sgd_step",
    "shuffle",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_forward",
    "sparse_linear_backward",
    "sparse_linear_forward",
    "step_schedule",
    "sum_losses",
    "to_index",
    "to_number",
]
