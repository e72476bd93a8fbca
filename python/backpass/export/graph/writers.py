"""Which writer translates which op: an op that is not here is refused by name."""

from collections.abc import Callable

from ... import ops
from ...ops import Op
from . import (
    activation,
    attention,
    conv,
    elementwise,
    images,
    indexing,
    integers,
    linear,
    norms,
    pooling,
    recurrent,
    reducing,
)
from .call import Call

WRITERS: dict[Op, Callable[[Call], None]] = {
    ops.activation_forward: activation.activation,
    ops.adaptive_avg_pool2d_forward: pooling.adaptive_avg_pool,
    ops.adaptive_max_pool2d_forward: pooling.adaptive_max_pool,
    ops.add: elementwise.add,
    ops.attention_forward: attention.attention,
    ops.avg_pool2d_forward: pooling.avg_pool,
    ops.batch_norm_inference: norms.batch_norm,
    ops.conv2d_forward: conv.conv,
    ops.conv_transpose2d_forward: conv.conv_transpose,
    ops.crop_images_forward: images.crop,
    ops.embedding_bag_forward: indexing.embedding_bag,
    ops.embedding_forward: indexing.embedding,
    ops.expression: elementwise.expression,
    ops.gather_forward: indexing.gather,
    ops.group_norm_forward: norms.group_norm,
    ops.gru_forward: recurrent.gru,
    ops.index_function: integers.index_function,
    ops.index_where: integers.index_where,
    ops.layer_norm_forward: norms.layer_norm,
    ops.linear_forward: linear.linear,
    ops.lstm_forward: recurrent.lstm,
    ops.matmul_forward: linear.matmul,
    ops.max_forward: reducing.maximum,
    ops.max_pool2d_forward: pooling.max_pool,
    ops.reduce_sum: reducing.reduce_sum,
    ops.resize_forward: pooling.resize,
    ops.rms_norm_forward: norms.rms_norm,
    ops.rnn_forward: recurrent.rnn,
    ops.softmax_forward: norms.softmax,
    ops.to_index: integers.to_index,
    ops.to_number: elementwise.to_number,
}
