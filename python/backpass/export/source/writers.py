"""Which writer translates which op: an op that is not here is refused by name."""

from collections.abc import Callable
from typing import Any

from ... import ops
from ...ops import Op
from . import activation, conv, images, linear, loops, norms, pooling, recurrent
from .source import Source

WRITERS: dict[Op, Callable[[Source, dict[str, Any]], None]] = {
    ops.activation_forward: activation.activation,
    ops.adaptive_avg_pool2d_forward: pooling.adaptive_avg_pool,
    ops.adaptive_max_pool2d_forward: pooling.adaptive_max_pool,
    ops.add: loops.add,
    ops.avg_pool2d_forward: pooling.avg_pool,
    ops.batch_norm_inference: norms.batch_norm,
    ops.conv2d_forward: conv.conv,
    ops.conv_transpose2d_forward: conv.conv_transpose,
    ops.crop_images_forward: images.crop,
    ops.expression: loops.expression,
    ops.group_norm_forward: norms.group_norm,
    ops.gru_forward: recurrent.gru,
    ops.layer_norm_forward: norms.layer_norm,
    ops.linear_forward: linear.linear,
    ops.lstm_forward: recurrent.lstm,
    ops.matmul_forward: loops.matmul,
    ops.max_forward: loops.maximum,
    ops.max_pool2d_forward: pooling.max_pool,
    ops.reduce_sum: loops.reduce_sum,
    ops.rms_norm_forward: norms.rms_norm,
    ops.rnn_forward: recurrent.rnn,
    ops.softmax_forward: norms.softmax,
}
