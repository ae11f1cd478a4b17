"""Recurrent layers that never read padding, in PyTorch and in ONNX."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def read_packed(cell: nn.GRU | nn.LSTM, inputs: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run a bidirectional recurrent layer over the tokens of each row alone.

    Rows are packed, so the backward direction starts at a row's last token and never at padding; in the exported graph
    the operator takes each row's length (`sequence_lens`) instead. The cell computes in float32: autocast has no
    bfloat16 form of it on every CPU.

    Args:
        cell: one layer, bidirectional, `batch_first`.
        inputs: `[batch, token, width]`.
        attention_mask: int64 `[batch, token]`, 1 on tokens and 0 on the padding behind them; None where none is padded.

    Returns:
        Outputs `[batch, token, 2 * hidden]`, 0 at padding; and the last state of the forward and of the backward
        direction side by side, `[batch, 2 * hidden]`. Both float32.
    """
    if attention_mask is None:
        attention_mask = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
    lengths = attention_mask.sum(dim=1).clamp(min=1)
    zeros = inputs.new_zeros(2, inputs.shape[0], cell.hidden_size, dtype=torch.float32)
    with torch.autocast(inputs.device.type, enabled=False):
        # Only PyTorch needs sorted rows; the traced example is sorted, so that the graph does not contain the sorting.
        packed = pack_padded_sequence(
            inputs.float(), lengths.cpu(), batch_first=True, enforce_sorted=torch.onnx.is_in_onnx_export()
        )
        if isinstance(cell, nn.LSTM):
            outputs, (last, _) = cell(packed, (zeros, zeros))
        else:
            outputs, last = cell(packed, zeros)
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return padded, torch.cat([last[0], last[1]], dim=1)
